"""The directory that one worker owns while it runs."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from magnetar.errors import StartError

_LOCK = "worker.lock"


@contextmanager
def owned(directory: Path) -> Iterator[Path]:
    """Own a directory, made where there is none, while the context is open.

    The lock is the kernel's: it ends with the process, however that ends. Raises StartError, which names the owner.
    """
    descriptor = _open(directory)
    try:
        _lock(descriptor, directory)
        yield directory
    finally:
        os.close(descriptor)


def _open(directory: Path) -> int:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise StartError(
            f"dataDirectory: {directory}: {error.strerror}; give a directory that can be written"
        ) from error


def _lock(descriptor: int, directory: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 32).decode(errors="replace").strip()
        raise StartError(
            f"dataDirectory: {directory} is owned by another running worker (process {owner}); "
            "end that one or give another directory"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
