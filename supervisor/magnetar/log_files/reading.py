"""The last lines of a log, those in its rotated files included."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import TypeVar

from magnetar.host_users import as_owner_of
from magnetar.log_files.head import Head, head_of
from magnetar.log_files.names import Files, files_of
from magnetar.log_files.records import Sieve, Wanted

T = TypeVar("T")
_BLOCK = 64 * 1024
_MAX_TAIL = 16 * 2**20
_TRIES = 5


def last_lines(log: Path, count: int, wanted: Wanted = Wanted()) -> list[str]:  # noqa: B008 - frozen
    """Return at most `count` last lines of those wanted, and no more than 16 MiB; none where there is no log."""
    if not count:
        return []
    with as_owner_of(log.parent):
        if wanted.everything:
            return _settled(log, lambda: _last_of_all(log, count))
        return _settled(log, lambda: _last_wanted(log, count, wanted))


def decoded(lines: bytes) -> list[str]:
    """Return lines as text, whatever their bytes are."""
    parts = lines.removesuffix(b"\n").split(b"\n") if lines else []
    return [part.decode(errors="replace").rstrip("\r") for part in parts]


def _settled(log: Path, read: Callable[[], T]) -> T:
    """Read, and read again where the log was rotated meanwhile."""
    for _ in range(_TRIES - 1):
        before = _shape(log)
        found = read()
        if before == _shape(log) and not before[1].under_way(before[0].first):
            return found
    return read()


def _shape(log: Path) -> tuple[Head, Files, int]:
    """Return what changes with every rotation."""
    files = files_of(log)
    try:
        with log.open("rb", buffering=0) as file:
            return head_of(file.fileno()), files, os.fstat(file.fileno()).st_ino
    except OSError:
        return Head(), files, 0


def _last_of_all(log: Path, count: int) -> list[str]:
    tail = b""
    for file in _newest_first(log):
        with file:
            tail = _tail(file, count - tail.count(b"\n"), _MAX_TAIL - len(tail)) + tail
        if tail.count(b"\n") > count or len(tail) >= _MAX_TAIL:
            break
    whole = tail.partition(b"\n")[2] if len(tail) >= _MAX_TAIL else tail
    return decoded(whole)[-count:]


def _tail(file: BufferedReader, lines: int, most: int) -> bytes:
    begin = head_of(file.fileno()).offset
    at = file.seek(0, os.SEEK_END)
    tail = b""
    while at > begin and tail.count(b"\n") <= lines and len(tail) < most:
        size = min(_BLOCK, at - begin)
        at = file.seek(at - size)
        tail = file.read(size) + tail
    return tail


def _last_wanted(log: Path, count: int, wanted: Wanted) -> list[str]:
    sieve, found, size = Sieve(wanted), deque[str](), 0
    for line in _all_lines(log, wanted):
        if sieve.lets_through(line):
            found.append(line)
            size += len(line)
        while len(found) > count or size > _MAX_TAIL:
            size -= len(found.popleft())
    return list(found)


def _all_lines(log: Path, wanted: Wanted) -> Iterator[str]:
    """Yield every line from the oldest on, without files that were last written to before what is wanted."""
    files = []
    for file in _newest_first(log):
        if wanted.since is not None and os.fstat(file.fileno()).st_mtime < wanted.since:
            file.close()
            break
        files.append(file)
    for file in reversed(files):
        with file:
            file.seek(head_of(file.fileno()).offset)
            for line in file:
                yield from decoded(line)


def _newest_first(log: Path) -> Iterator[BufferedReader]:
    """Open the log's files one after the other, those that are gone by then left out."""
    first = 0
    try:
        file = log.open("rb")
    except OSError:
        pass
    else:
        first = head_of(file.fileno()).first
        yield file
    for each in files_of(log).up_to(first):
        try:
            yield each.path.open("rb")
        except OSError:
            continue
