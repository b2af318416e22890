"""Instances' log files, read backwards for their last lines and forwards as they grow. Blocking: called from threads."""

import os
from io import BufferedReader
from pathlib import Path

_BLOCK = 64 * 1024
_MAX_TAIL = 16 * 2**20
_MAX_GROWTH = 2**20


def last_lines(path: Path, count: int) -> list[str]:
    """Return at most `count` last lines, and no more than 16 MiB of them; none when there is no such file."""
    try:
        with path.open("rb") as file:
            return _last_lines(file, count)
    except OSError:
        return []


def _last_lines(file: BufferedReader, count: int) -> list[str]:
    start = file.seek(0, os.SEEK_END)
    tail = b""
    while start and tail.count(b"\n") <= count and len(tail) < _MAX_TAIL:
        size = min(_BLOCK, start)
        start = file.seek(start - size)
        tail = file.read(size) + tail
    return _decoded(tail)[-count:] if count else []


class GrowingFile:
    """A log file that is followed through its growth, its rotation and its absence; opened at its present end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BufferedReader | None = None
        self._rest = b""
        self._open(os.SEEK_END)

    def new_lines(self) -> list[str]:
        """Return the whole lines that were written since the last call, at most 1 MiB of them."""
        if self._file is None:
            self._open(os.SEEK_SET)
        if self._file is None:
            return []
        self._rewind_when_cut()
        grown = self._file.read(_MAX_GROWTH)
        if not grown and self._is_replaced():
            self.close()
            return self.new_lines() if self._path.exists() else []
        lines, newline, self._rest = (self._rest + grown).rpartition(b"\n")
        return _decoded(lines + newline)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self._rest = b""

    def _open(self, whence: int) -> None:
        try:
            self._file = self._path.open("rb")
        except OSError:
            return
        self._file.seek(0, whence)

    def _rewind_when_cut(self) -> None:
        """Begin again in a file that lost its head or all its content: rather some lines twice than none."""
        assert self._file is not None
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)
            self._rest = b""

    def _is_replaced(self) -> bool:
        assert self._file is not None
        try:
            now = self._path.stat()
        except OSError:
            return False
        mine = os.fstat(self._file.fileno())
        return (now.st_dev, now.st_ino) != (mine.st_dev, mine.st_ino)


def _decoded(lines: bytes) -> list[str]:
    parts = lines.removesuffix(b"\n").split(b"\n") if lines else []
    return [part.decode(errors="replace").rstrip("\r") for part in parts]
