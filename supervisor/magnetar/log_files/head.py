"""Where a log file's own lines begin: behind what an in-place rotation took away, and the mark that it left.

A position in the log is that of a byte in all that was ever written to the file, so it stays the same while bytes before it
are taken away.
"""

import os
import re
from contextlib import suppress
from dataclasses import dataclass

_MARK = re.compile(
    rb"--- magnetar: the (\d+) bytes before are in \S+ and older files; this line ends at byte (\d+) ---"
)
_LONGEST_MARK = 512


@dataclass(frozen=True)
class Head:
    """`base` is the position of the file's byte 0; `first` that of its first line."""

    base: int = 0
    first: int = 0

    @property
    def offset(self) -> int:
        """Where in the file its first line begins."""
        return self.first - self.base


def mark(before: int, end: int, successor: str) -> bytes:
    """Return a line that stands from position `before` to `end` and says where the earlier lines are."""
    text = b"--- magnetar: the %d bytes before are in %s and older files; this line ends at byte %d ---" % (
        before,
        successor.encode(),
        end,
    )
    if len(text) >= end - before:
        raise ValueError(f"a mark of {len(text)} bytes does not fit between {before} and {end}")
    return text.ljust(end - before - 1) + b"\n"


def mark_size(position: int, successor: str) -> int:
    """Return how many bytes the mark of a rotation near a position needs at most."""
    return len(mark(position, position + _LONGEST_MARK, successor).rstrip()) + 2


def head_of(descriptor: int) -> Head:
    """Read where the lines of an open log file begin."""
    start = _start_of_data(descriptor)
    found = _MARK.match(os.pread(descriptor, _LONGEST_MARK, start))
    if found is None:
        return Head()
    before, end = map(int, found.groups())
    return Head(before - start, end)


def _start_of_data(descriptor: int) -> int:
    """Return the end of the hole that a rotation left where the file system can't close it up; 0 without one."""
    with suppress(OSError):
        return os.lseek(descriptor, 0, os.SEEK_DATA)
    return 0
