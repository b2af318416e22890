"""Which process this is: a child that a function forked must never run on as the instance."""

import os

current = os.getpid()


def _note() -> None:
    global current  # noqa: PLW0603 - a hook of the interpreter has nowhere else to write to
    current = os.getpid()


os.register_at_fork(after_in_child=_note)
