"""A log that is followed through its growth, its absence and every rotation: each line comes once, and whole."""

import os
from io import FileIO
from pathlib import Path

from magnetar.host_users import as_owner_of
from magnetar.log_files.head import Head, head_of
from magnetar.log_files.names import Files, RotatedFile, files_of
from magnetar.log_files.reading import decoded
from magnetar.log_files.records import Sieve, Wanted

_MOST = 2**20
_TRIES = 5
_FINISHED = 1
"""From this number on a successor is itself a rotated file: nobody writes to what was rotated before it."""


class FollowedLog:
    """Followed from its present end on; one that does not exist yet from its beginning."""

    def __init__(self, log: Path, wanted: Wanted = Wanted()) -> None:  # noqa: B008 - frozen
        self._log = log
        self._sieve = Sieve(wanted)
        self._file: FileIO | None = None
        self._at = 0
        self._rest = b""
        self._left = False
        with as_owner_of(self._log.parent):
            if self._open():
                self._at += self._lines_size()

    def new_lines(self) -> list[str]:
        """Return the whole lines that were written since the last call, of at most 1 MiB."""
        with as_owner_of(self._log.parent):
            if self._file is None and not self._open():
                return []
            grown = self._grown()
        self._at += len(grown)
        lines, newline, self._rest = (self._rest + grown).rpartition(b"\n")
        return list(self._sieve.of(decoded(lines + newline)))

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> bool:
        try:
            self._take(FileIO(self._log, "rb"))
        except OSError:
            return False
        return True

    def _take(self, file: FileIO) -> None:
        self._file = file
        self._at = head_of(file.fileno()).first
        self._left = False

    def _lines_size(self) -> int:
        assert self._file is not None
        return os.fstat(self._file.fileno()).st_size - head_of(self._file.fileno()).offset

    def _grown(self) -> bytes:
        """Read on, in the file that is open or, once it is renamed away and read to its end, in those after it."""
        for _ in range(_TRIES):
            successor = self._successor()
            grown = self._read()
            if grown is None:
                continue
            if grown or successor is None:
                self._left = False
                return grown
            if not self._left and successor.number < _FINISHED:
                self._left = (
                    True  # its writer may be about to leave it: what it writes until then is read at the next call
                )
                return b""
            self._go_on_with(successor)
        return b""

    def _go_on_with(self, successor: RotatedFile) -> None:
        opened = _opened(successor)
        if opened is not None:
            self.close()
            self._take(opened)

    def _read(self) -> bytes | None:
        """Read on in the open file, or in what was moved out of it; None when it was rotated meanwhile."""
        assert self._file is not None
        descriptor = self._file.fileno()
        files, head = files_of(self._log), head_of(descriptor)
        if files.under_way(head.first):
            return None
        if self._at < head.first:
            return self._read_moved(head, files)
        size = os.fstat(descriptor).st_size
        if head.base + size < self._at:
            self._at, self._rest = head.first, b""  # somebody has emptied the file: rather some lines twice than none
        grown = os.pread(descriptor, _MOST, self._at - head.base)
        return grown if head_of(descriptor) == head and not files_of(self._log).under_way(head.first) else None

    def _read_moved(self, head: Head, files: Files) -> bytes | None:
        """Read what stood before the file's first line: in the rotated files, as far as they are still there."""
        end = head.first
        for each in files.up_to(head.first):
            opened = _opened(each)
            if opened is None:
                return None
            with opened:
                content = head_of(opened.fileno())
                begin = end - (os.fstat(opened.fileno()).st_size - content.offset)
                if begin <= self._at:
                    return os.pread(opened.fileno(), min(_MOST, end - self._at), content.offset + self._at - begin)
            end = begin
        self._at, self._rest = end, b""  # older lines were deleted
        return None

    def _successor(self) -> RotatedFile | None:
        """Return what is to be read after the open file: a newer rotated one or the log, whose number is 0 here."""
        assert self._file is not None
        mine = os.fstat(self._file.fileno())
        try:
            log = self._log.stat()
        except OSError:
            return None
        if (log.st_dev, log.st_ino) == (mine.st_dev, mine.st_ino):
            return None
        files = files_of(self._log).up_to(0)
        own = next((file.number for file in files if file.inode == mine.st_ino), None)
        newer = [file for file in files if _is_newer(file, own, mine.st_mtime_ns)]
        return newer[-1] if newer else RotatedFile(self._log, 0, log.st_ino)


def _is_newer(file: RotatedFile, own: int | None, changed: int) -> bool:
    if own is not None:
        return file.number < own
    try:
        return file.path.stat().st_mtime_ns > changed
    except OSError:
        return False


def _opened(file: RotatedFile) -> FileIO | None:
    """Open a rotated file; None when its name was given to another one meanwhile."""
    try:
        opened = FileIO(file.path, "rb")
    except OSError:
        return None
    if os.fstat(opened.fileno()).st_ino == file.inode:
        return opened
    opened.close()
    return None
