"""Which known word a misspelt one was meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word closest to `word`, or None when none is close."""
    by_lower = {each.lower(): each for each in known}
    matches = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.7)
    return by_lower[matches[0]] if matches else None


def unknown_key(where: str, key: str, known: Iterable[str]) -> str:
    """Return the sentence about an unknown key, with the nearest known one."""
    match = nearest(key, known)
    meant = f"; did you mean {match!r}?" if match else ""
    return f"{where}unknown key {key!r}{meant}"
