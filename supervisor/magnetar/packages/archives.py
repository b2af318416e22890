"""Zip archives from strangers: opened only when unpacking them can do no harm."""

import contextlib
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from magnetar.errors import RefusedError

_MAX_ENTRIES = 200_000
_MAX_UNPACKED = 4 * 2**30
_ALWAYS_ALLOWED = 256 * 2**20
_MAX_RATIO = 100
_UNREADABLE = (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, zlib.error, EOFError, ValueError)


@contextlib.contextmanager
def open_archive(source: Path | IO[bytes], name: str) -> Iterator[zipfile.ZipFile]:
    """Open a zip archive whose entries stay where they are unpacked and can't fill the disk.

    Raises RefusedError with `name` when it is none, is cut short, or is not safe.
    """
    try:
        archive = zipfile.ZipFile(source)
    except _UNREADABLE as error:
        raise RefusedError(f"{name} is not a whole zip archive ({error}): build it again and send all of it") from None
    with archive:
        _check_entries(archive, name)
        yield archive


def read_entry(archive: zipfile.ZipFile, entry: str, name: str, limit: int) -> bytes:
    """Return the content of one entry. Raises RefusedError for one that is too large or can't be read."""
    if archive.getinfo(entry).file_size > limit:
        raise RefusedError(f"{name}: {entry} has more than {limit >> 20} MiB; put data into files of their own")
    try:
        return archive.read(entry)
    except _UNREADABLE as error:
        raise _unreadable(entry, name, error) from None


@contextlib.contextmanager
def open_nested(archive: zipfile.ZipFile, entry: str, name: str) -> Iterator[zipfile.ZipFile]:
    """Open an archive inside an archive, under the same conditions; it is unpacked to disk, not to memory."""
    with tempfile.TemporaryFile() as unpacked:
        try:
            with archive.open(entry) as packed:
                shutil.copyfileobj(packed, unpacked)
        except _UNREADABLE as error:
            raise _unreadable(entry, name, error) from None
        with open_archive(unpacked, f"{name}: {entry}") as nested:
            yield nested


def _unreadable(entry: str, name: str, error: Exception) -> RefusedError:
    return RefusedError(f"{name}: {entry} can't be read from the archive ({error}): build it again")


def _check_entries(archive: zipfile.ZipFile, name: str) -> None:
    entries = archive.infolist()
    if len(entries) > _MAX_ENTRIES:
        raise RefusedError(f"{name} has {len(entries)} entries; the limit is {_MAX_ENTRIES}")
    for entry in entries:
        if not _stays_inside(entry.orig_filename):
            raise RefusedError(f"{name}: the entry {entry.orig_filename!r} leads out of the archive; remove it")
        if entry.flag_bits & 1:
            raise RefusedError(
                f"{name}: the entry {entry.filename!r} is encrypted; build the archive without a password"
            )
    unpacked = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if unpacked > _MAX_UNPACKED or unpacked > max(_ALWAYS_ALLOWED, _MAX_RATIO * packed):
        raise RefusedError(
            f"{name} unpacks to {unpacked} bytes from {packed}: that is refused as an archive made to fill the disk"
        )


def _stays_inside(entry: str) -> bool:
    parts = PurePosixPath(entry.replace("\\", "/")).parts
    return "\0" not in entry and ".." not in parts and not (parts and (parts[0] == "/" or parts[0].endswith(":")))
