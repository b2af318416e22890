"""Files on their way to a worker or from it: streamed and counted, whole or not there."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

Progress = Callable[[int, int], None]
"""Called with the bytes so far and all bytes, 0 when that is not known."""


class CountedFile(io.RawIOBase):
    """A file opened for reading that tells how far it has been read."""

    def __init__(self, path: Path, progress: Progress) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._total = path.stat().st_size
        self._progress = progress

    def readable(self) -> bool:
        """Return True: it is read."""
        return True

    def seekable(self) -> bool:
        """Return True: a redirected upload begins anew."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # typeshed's Buffer is 3.12's
        """Read into a buffer and tell."""
        count = self._file.readinto(buffer)
        self._progress(self._file.tell(), self._total)
        return count

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position."""
        return self._file.seek(offset, whence)

    def fileno(self) -> int:
        """Return the descriptor, from which the length is read."""
        return self._file.fileno()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


@contextmanager
def reading(path: Path, progress: Progress | None) -> Iterator[BinaryIO]:
    """Open a file for an upload."""
    file = cast("BinaryIO", CountedFile(path, progress)) if progress else path.open("rb")
    with file:
        yield file


@contextmanager
def writing(target: Path) -> Iterator[BinaryIO]:
    """Open a file that is at `target` only once it is whole; a device or pipe is written to as it is."""
    if target.exists() and not target.is_file():
        with target.open("wb") as file:
            yield file
        return
    partial = target.with_name(f".{target.name}.part")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
