"""One rotation of one log, by either of two ways; neither loses or cuts a line that was written.

A writer that can re-open its log (ours) is renamed away from and told to. One that holds a descriptor it can't be talked out
of (Go's log, Java's output) keeps its file: the head is copied up to the end of a line and then taken away. Whoever is
killed in between leaves names by which the next one finishes the rotation (`recover`).
"""

import os
from contextlib import suppress
from pathlib import Path

from magnetar.log_files.collapse import block_size, take_away_head
from magnetar.log_files.head import Head, head_of, mark, mark_size
from magnetar.log_files.names import is_rotated, numbered, partial, rotated, unfinished, unfinished_of

_CHUNK = 2**20
_LONGEST_LINE = 2**20
"""A log that has no line end in so many last bytes is cut where it happens to be."""


class NotRotatableError(Exception):
    """Raised where the file system can take away no head of a file; the message says what to do."""


def size_of_lines(log: Path) -> int:
    """Return the bytes that a log takes behind what was rotated away; 0 without a file."""
    try:
        with log.open("rb", buffering=0) as file:
            head = head_of(file.fileno())
            return os.fstat(file.fileno()).st_size - head.offset
    except FileNotFoundError:
        return 0


def rotate_by_renaming(log: Path, keep: int) -> None:
    """Rename a log; its writer must be told to re-open it. Raises OSError."""
    if not log.exists():
        return
    _make_room(log, keep)
    if keep:
        os.replace(log, numbered(log, 1))  # noqa: PTH105
    else:
        log.unlink()


def rotate_in_place(log: Path, keep: int) -> bool:
    """Move the lines of a log to a file of their own and leave the log to its writer; False when there was too little.

    Raises NotRotatableError, OSError.
    """
    descriptor = os.open(log, os.O_RDWR | os.O_CLOEXEC)
    try:
        head, size, block = head_of(descriptor), os.fstat(descriptor).st_size, block_size(descriptor)
        end = _cut(descriptor, head, size, block, numbered(log, 1).name)
        if end is None:
            return False
        copied = unfinished(log, head.base + end)
        _copy(descriptor, head.offset, end, partial(log))
        os.replace(partial(log), copied)  # noqa: PTH105
        _take_away(descriptor, log, head, end, block)
    finally:
        os.close(descriptor)
    _number(log, copied, keep)
    return True


def recover(log: Path, keep: int) -> None:
    """Finish the rotation that a killed worker left, if it left one. Raises NotRotatableError, OSError."""
    partial(log).unlink(missing_ok=True)
    for copied, first in unfinished_of(log):
        _finish(log, first)
        _number(log, copied.path, keep)


def prune(directory: Path, total: int) -> list[Path]:
    """Delete the oldest rotated files of a function's directory until its files are within `total` bytes; returns them."""
    with os.scandir(directory) as entries:
        files = [(entry.stat(), Path(entry.path)) for entry in entries if entry.is_file(follow_symlinks=False)]
    taken = sum(_allocated(stat) for stat, _ in files)
    deleted = []
    old = sorted((stat.st_mtime_ns, path, _allocated(stat)) for stat, path in files if is_rotated(path.name))
    for _, path, size in old:
        if taken <= total:
            break
        path.unlink(missing_ok=True)
        deleted.append(path)
        taken -= size
    return deleted


def _allocated(stat: os.stat_result) -> int:
    """Return a file's size without its holes."""
    return min(stat.st_size, stat.st_blocks * 512)


def _cut(descriptor: int, head: Head, size: int, block: int, successor: str) -> int | None:
    """Return the last line end that leaves room for a mark behind the whole blocks before it; None when there is none."""
    room = mark_size(head.base + size, successor)
    begin = max(head.offset, size - _LONGEST_LINE)
    text = os.pread(descriptor, size - begin, begin)
    at = len(text)
    while (at := text.rfind(b"\n", 0, at)) >= 0:
        if _fits(begin + at + 1, head, block, room):
            return begin + at + 1
    if begin == head.offset:
        return None
    end = size if size % block >= room else size // block * block - 1
    return end if _fits(end, head, block, room) else None


def _fits(end: int, head: Head, block: int, room: int) -> bool:
    return end % block >= room and end // block * block > head.offset


def _copy(descriptor: int, start: int, end: int, target: Path) -> None:
    with target.open("wb", buffering=0) as file:
        while start < end:
            chunk = os.pread(descriptor, min(_CHUNK, end - start), start)
            if not chunk:
                raise OSError(f"{target.name}: the log became shorter while it was copied")
            start += file.write(chunk)


def _take_away(descriptor: int, log: Path, head: Head, end: int, block: int) -> None:
    """Write the mark over the last copied bytes, then take away all before it."""
    before = end // block * block
    line = mark(head.base + before, head.base + end, numbered(log, 1).name)
    kept = os.pread(descriptor, len(line), before)
    os.pwrite(descriptor, line, before)
    if not take_away_head(descriptor, before):
        os.pwrite(descriptor, kept, before)
        unfinished(log, head.base + end).unlink(missing_ok=True)
        raise NotRotatableError(
            f"{log} can't be rotated while it is written to: its file system can neither collapse nor punch a range; "
            "put logDirectory on ext4, XFS, Btrfs or tmpfs"
        )


def _finish(log: Path, first: int) -> None:
    """Take away what was copied, unless that was done."""
    try:
        descriptor = os.open(log, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        head = head_of(descriptor)
        if head.first < first <= head.base + os.fstat(descriptor).st_size:
            _take_away(descriptor, log, head, first - head.base, block_size(descriptor))
    finally:
        os.close(descriptor)


def _number(log: Path, copied: Path, keep: int) -> None:
    _make_room(log, keep)
    if keep:
        os.replace(copied, numbered(log, 1))  # noqa: PTH105
    else:
        copied.unlink()


def _make_room(log: Path, keep: int) -> None:
    """Give each rotated file the next number, up to the first that is free, and delete those beyond `keep`."""
    files = {file.number: file.path for file in rotated(log)}
    last = next(number for number in range(1, len(files) + 2) if number not in files)
    for number in range(last - 1, 0, -1):
        if number >= keep:
            files[number].unlink(missing_ok=True)
        else:
            with suppress(FileNotFoundError):
                os.replace(files[number], numbered(log, number + 1))  # noqa: PTH105
    for number, path in files.items():
        if number > max(keep, last):
            path.unlink(missing_ok=True)
