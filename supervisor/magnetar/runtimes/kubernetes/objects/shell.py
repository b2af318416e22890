"""Words of a shell command: everything is quoted but what is meant for the shell. Pure."""

import re
import shlex
from collections.abc import Iterable
from typing import NewType

Word = NewType("Word", str)
"""A piece of text that a shell reads as it stands."""

_EXPANDED = re.compile(r"\$(?=[$(])")


def quoted(text: str) -> Word:
    """Return a text as one word that the shell takes literally."""
    return Word(shlex.quote(text))


def quoted_json(text: str) -> Word:
    """Return JSON in single quotes, and those inside as an escape of JSON: so does Pulsar's worker."""
    return Word("'" + text.replace("'", "\\u0027") + "'")


def joined(*pieces: str | Word) -> Word:
    """Return pieces as one word."""
    return Word("".join(pieces))


def line(words: Iterable[Word]) -> str:
    """Return words as one command."""
    return " ".join(words)


def literally(command: str) -> str:
    """Return a command as Kubernetes must be given it: it replaces `$(NAME)` and halves `$$` before a shell sees them."""
    return _EXPANDED.sub("$$", command)
