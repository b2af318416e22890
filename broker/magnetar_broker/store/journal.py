"""One append-only journal for everything: segments of checked records, synced in groups off the event loop.

A record is `[size][crc32c][kind][topic id][entry id][count][body]`, of two kinds: an entry of a topic, and a setting (a key
with a JSON value, or none when it is deleted). At the start of each segment all settings are written again, so that it is
needed only for the entries in it. What is torn at the end of the last segment was never receipted, and is cut off.
"""

import asyncio
import contextlib
import json
import os
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import crc32c

from magnetar_broker.errors import StartError, StorageError

ENTRY, SETTING = 1, 2
_HEAD = struct.Struct(">IIBIQI")
_CHECKED_FROM = 8
SEGMENT_SIZE = 64 * 1024 * 1024
_NAME = "journal-{:08d}.log"


@dataclass(frozen=True)
class Record:
    """One record as it is replayed; `position` is where its body stands in its segment."""

    kind: int
    topic_id: int
    entry_id: int
    count: int
    body: bytes
    segment: int
    position: int


class Journal:
    """The journal of one data directory. `append` returns at once; what was appended is durable when its callback runs.

    `settings` gives all current settings, for the head of a new segment.
    """

    def __init__(self, directory: Path, settings: Callable[[], Iterator[tuple[str, object]]]) -> None:
        self._directory = directory
        self._settings = settings
        self._files: dict[int, int] = {}
        self._segment = 0
        self._position = 0
        self._buffer: list[tuple[int, list[bytes]]] = []
        self._callbacks: list[Callable[[], None]] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._syncing: asyncio.Task[None] | None = None
        self.failure: StorageError | None = None

    @property
    def segments(self) -> list[int]:
        """The numbers of the segments that are kept, the one being written last."""
        return sorted(self._files)

    def replay(self) -> Iterator[Record]:
        """Open the journal and yield all that it holds, oldest first; must be run to its end before anything else."""
        self._directory.mkdir(parents=True, exist_ok=True)
        numbers = sorted(int(path.stem.split("-")[1]) for path in self._directory.glob("journal-*.log"))
        begun = [n for n in numbers if (self._directory / _NAME.format(n)).stat().st_size]
        for number in numbers or [1]:
            yield from self._replay_segment(number, last=not begun or number >= begun[-1])

    def _replay_segment(self, number: int, *, last: bool) -> Iterator[Record]:
        path = self._directory / _NAME.format(number)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._files[number] = descriptor
        self._segment = number
        end = os.fstat(descriptor).st_size
        at = 0
        with open(descriptor, "rb", buffering=1 << 20, closefd=False) as file:
            while (record := _read(file.read, number, at, path, last=last)) is not None:
                yield record
                at = record.position + len(record.body)
        if at < end:
            if not last:
                raise StartError(_damage(path, at))
            os.ftruncate(descriptor, at)
        self._position = at

    def append(
        self, kind: int, topic_id: int, entry_id: int, count: int, body: bytes, *, done: Callable[[], None] | None
    ) -> tuple[int, int]:
        """Append a record; returns the segment and the position of its body. `done` is called once it is durable."""
        if self.failure is not None:
            raise self.failure
        if self._position > SEGMENT_SIZE:
            self._roll()
        place = self._place(kind, topic_id, entry_id, count, body)
        if done is not None:
            self._callbacks.append(done)
        if self._syncing is None:
            self._syncing = asyncio.get_running_loop().create_task(self._sync(), name="journal sync")
        return place

    def _place(self, kind: int, topic_id: int, entry_id: int, count: int, body: bytes) -> tuple[int, int]:
        head = _HEAD.pack(len(body), 0, kind, topic_id, entry_id, count)
        checksum = crc32c.crc32c(body, crc32c.crc32c(head[_CHECKED_FROM:]))
        if not self._buffer or self._buffer[-1][0] != self._segment:
            self._buffer.append((self._segment, []))
        self._buffer[-1][1].extend((_HEAD.pack(len(body), checksum, kind, topic_id, entry_id, count), body))
        position = self._position + _HEAD.size
        self._position = position + len(body)
        return self._segment, position

    def set(self, key: str, value: object, done: Callable[[], None] | None = None) -> None:
        """Append a setting; None deletes its key."""
        self.append(SETTING, 0, 0, 0, _setting(key, value), done=done)

    async def _sync(self) -> None:
        """Write and sync what has gathered, until nothing has: each sync takes all that came during the one before."""
        loop = asyncio.get_running_loop()
        while self._buffer and self.failure is None:
            groups, self._buffer = self._buffer, []
            callbacks, self._callbacks = self._callbacks, []
            try:
                await loop.run_in_executor(self._thread, self._write, groups)
            except OSError as error:
                self.failure = StorageError(f"the journal can't be written: {error.strerror}; free space and restart")
                break
            for callback in callbacks:
                callback()
        self._syncing = None

    def _write(self, groups: list[tuple[int, list[bytes]]]) -> None:
        for segment, chunks in groups:
            view = memoryview(b"".join(chunks))
            while view:
                view = view[os.write(self._files[segment], view) :]
            os.fdatasync(self._files[segment])

    def _roll(self) -> None:
        """Begin a new segment with all settings; what is buffered still goes to the old one."""
        number = self._segment + 1
        path = self._directory / _NAME.format(number)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_TRUNC
        self._files[number] = os.open(path, flags, 0o644)
        self._segment, self._position = number, 0
        for key, value in self._settings():
            self._place(SETTING, 0, 0, 0, _setting(key, value))

    def read(self, segment: int, position: int, size: int) -> bytes:
        """Return the bytes of a durable body."""
        return os.pread(self._files[segment], size, position)

    def drop_before(self, segment: int) -> None:
        """Delete the segments before the one given: nothing needs them any more."""
        for number in [number for number in self._files if number < min(segment, self._segment)]:
            os.close(self._files.pop(number))
            (self._directory / _NAME.format(number)).unlink()

    async def close(self) -> None:
        """Make everything durable and close the files."""
        while self._syncing is not None:
            await self._syncing
        self._thread.shutdown()
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()


def _setting(key: str, value: object) -> bytes:
    return json.dumps([key, value], separators=(",", ":")).encode()


def _read(read: Callable[[int], bytes], segment: int, at: int, path: Path, *, last: bool) -> Record | None:
    """Read one record; None at the end, or where the last segment's end is torn."""
    head = read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    size, checksum, kind, topic_id, entry_id, count = _HEAD.unpack(head)
    body = read(size)
    if len(body) == size and crc32c.crc32c(body, crc32c.crc32c(head[_CHECKED_FROM:])) == checksum:
        return Record(kind, topic_id, entry_id, count, body, segment, at + _HEAD.size)
    if last and _is_tail(path, at, size):
        return None
    raise StartError(_damage(path, at))


def _is_tail(path: Path, at: int, size: int) -> bool:
    """Whether no whole record stands after a broken one: then it was being written when the broker ended."""
    with contextlib.suppress(OSError):
        return path.stat().st_size <= at + _HEAD.size + size
    return False


def _damage(path: Path, at: int) -> str:
    return (
        f"{path}: the record at byte {at} is damaged (its checksum is wrong), and others follow it. "
        "Restore the file from a copy, or cut it at that byte and lose what follows."
    )
