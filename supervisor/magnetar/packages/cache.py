"""Packages on this host: each content once, by its digest, and under its own name for each place it came from.

    incoming/<random>                a download or upload under way
    content/<sha256>                 the bytes
    files/<place>/<digest>/<name>    a hard link to them, named as the package was: what instances load

A file appears in `content` and `files` whole or not at all. Blocking: the store calls it from threads.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from magnetar.packages.kinds import ELF

_ABANDONED = 24 * 3600.0
"""Seconds after which a file under way is nobody's any more."""
_SETTLED = 600.0
"""Seconds after which a place that no function names is left over; before, it may be one that is being created."""
_SHORT = 16


class PackageCache:
    """One directory of packages; several workers may share it."""

    def __init__(self, directory: Path) -> None:
        self._incoming = directory / "incoming"
        self._content = directory / "content"
        self._files = directory / "files"

    def incoming(self) -> Path:
        """Return a path of its own for a file under way; whoever asks removes it, a worker that was killed could not."""
        self._incoming.mkdir(parents=True, exist_ok=True)
        for left in _older(self._incoming, _ABANDONED):
            with contextlib.suppress(OSError):
                left.unlink()
        return self._incoming / secrets.token_hex(8)

    def find(self, place: str, name: str) -> Path | None:
        """Return the file of a place that never changes, or None when it was not fetched yet."""
        for file in self._files.glob(f"{_key(place)}/*/*"):
            return file if file.name == name else _link(file, file.parent / name)
        return None

    def add(self, place: str, name: str, file: Path) -> Path:
        """Take the file at `file` (which stays where it is) as the content of a place, beside what was there before."""
        digest = digest_of(file)
        content = self._content / digest
        if not content.is_file():
            content.parent.mkdir(parents=True, exist_ok=True)
            self._mine(file).rename(content)
        return _link(content, self._files / _key(place) / digest[:_SHORT] / name)

    def forget(self, place: str) -> None:
        """Remove a place's files, and their content once no other place has it."""
        digests = {folder.name for folder in self._files.glob(f"{_key(place)}/*")}
        shutil.rmtree(self._files / _key(place), ignore_errors=True)
        self._drop_content(file for digest in digests for file in self._content.glob(f"{digest}*"))

    def sweep(self, in_use: Iterable[str], settled: float = _SETTLED) -> None:
        """Remove what belongs to no place in use and has not been touched for `settled` seconds."""
        keys = {_key(place) for place in in_use}
        for folder in _older(self._files, settled):
            if folder.name not in keys:
                shutil.rmtree(folder, ignore_errors=True)
        self._drop_content(_older(self._content, settled))

    def _drop_content(self, contents: Iterable[Path]) -> None:
        for content in contents:
            with contextlib.suppress(OSError):
                if content.stat().st_nlink == 1:
                    content.unlink()

    def _mine(self, file: Path) -> Path:
        """Return a copy that nobody else writes to; a program gets the right to be run."""
        copy = self.incoming()
        if file.parent == self._incoming:
            copy.hardlink_to(file)
        else:
            shutil.copyfile(file, copy)
        with copy.open("rb") as opened:
            is_program = opened.read(len(ELF)) == ELF
        copy.chmod(0o755 if is_program else 0o644)
        return copy


def digest_of(file: Path) -> str:
    """Return a file's SHA-256 in hex digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _older(directory: Path, seconds: float) -> Iterator[Path]:
    """Yield a directory's entries that were last changed longer ago; none where there is no directory."""
    with contextlib.suppress(FileNotFoundError):
        for entry in list(directory.iterdir()):
            with contextlib.suppress(OSError):
                if time.time() - entry.stat().st_mtime >= seconds:
                    yield entry


def _link(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.link(source, target)
    return target
