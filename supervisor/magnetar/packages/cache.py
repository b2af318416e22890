"""Packages on this host: each content once, by its digest, and under its own name for each place it came from.

    incoming/<random>          a download or upload under way
    content/<sha256>           the bytes
    files/<place>/<n>/<name>   a hard link to them, named as the package was: what instances load

A file appears in `content` and `files` whole or not at all. Blocking: the store calls it from threads.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from pathlib import Path

from magnetar.packages.kinds import ELF

_ABANDONED = 24 * 3600.0
"""Seconds after which a file under way is nobody's any more."""


class PackageCache:
    """One directory of packages; several workers may share it."""

    def __init__(self, directory: Path) -> None:
        self._incoming = directory / "incoming"
        self._content = directory / "content"
        self._files = directory / "files"

    def incoming(self) -> Path:
        """Return a path of its own for a file under way; whoever asks removes it, a worker that was killed could not."""
        self._incoming.mkdir(parents=True, exist_ok=True)
        for left in self._incoming.iterdir():
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _ABANDONED:
                    left.unlink()
        return self._incoming / secrets.token_hex(8)

    def find(self, place: str, name: str) -> Path | None:
        """Return the file of a place that never changes, or None when it was not fetched yet."""
        wanted = self._file(place, name)
        if wanted.is_file():
            return wanted
        for other in (self._files / _key(place)).glob("*/*"):
            return _link(other, wanted)
        return None

    def add(self, place: str, name: str, file: Path) -> Path:
        """Take the file at `file` (which stays where it is) as the content of a place."""
        content = self._content / digest_of(file)
        if not content.is_file():
            content.parent.mkdir(parents=True, exist_ok=True)
            self._mine(file).rename(content)
        return _link(content, self._file(place, name))

    def add_by_digest(self, location: str, name: str, file: Path) -> Path:
        """Take a file from a location whose content may change: each content is a place of its own."""
        return self.add(f"{location}#{digest_of(file)}", name, file)

    def forget(self, place: str) -> None:
        """Remove a place's files, and its content once no other place has it."""
        folder = self._files / _key(place)
        inodes = {file.stat().st_ino for file in folder.glob("*/*")}
        shutil.rmtree(folder, ignore_errors=True)
        if inodes and self._content.is_dir():
            for content in self._content.iterdir():
                with contextlib.suppress(OSError):
                    status = content.stat()
                    if status.st_ino in inodes and status.st_nlink == 1:
                        content.unlink()

    def _file(self, place: str, name: str) -> Path:
        return self._files / _key(place) / _key(name)[:8] / name

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


def _link(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.link(source, target)
    return target
