"""One append-only journal for everything: segments of checked records, synced in groups off the event loop.

At the head of each segment all settings are written again, and what is not among them is gone; so a segment is needed
only for the entries in it. What is torn at the end of the last segment was never receipted, and is cut off. When the disk
refuses, the files are cut back to what is durable, everyone who waits is told, and every second a fresh segment is tried
until one is taken. A segment that gets nothing any more gets an index, which saves reading it when the journal opens.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from magnetar_broker.errors import DamagedError, StorageError
from magnetar_broker.store.opening import ReplaySink, Segment, replay
from magnetar_broker.store.records import (
    ENTRY,
    HEAD_SIZE,
    SETTING,
    body_of,
    encode_head,
    encode_setting,
    place,
    position_of,
    segment_of,
)
from magnetar_broker.store.scan import HEAD_BEGINS, HEAD_ENDS
from magnetar_broker.store.sealing import Sealer

SEGMENT_SIZE = 32 * 1024 * 1024
READ_AT_ONCE = 256 * 1024
_NAME = "journal-{:08d}.log"
_RETRY_INTERVAL = 1.0
_CHUNKS_AT_ONCE = 256
_SEGMENTS_IN_MEMORY = 2
_READABLE = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_DSYNC | os.O_CLOEXEC

logger = logging.getLogger(__name__)


class Waiter(Protocol):
    """Waits for a record to be durable; one of the two is called, once."""

    def durable(self) -> None:
        """Take note that the record is on disk."""

    def failed(self, error: StorageError) -> None:
        """Take note that the record is not, and never will be."""


class Journal:
    """The journal of one data directory. `append` returns at once; its waiter hears when the record is durable.

    `settings` gives all current settings, for the head of a new segment. `rolled_back` is called after a failure, before
    the waiters hear of it: what was appended and is not durable is gone. `live` has the bytes of each segment that are
    still wanted; who drops or moves entries keeps it right.
    """

    def __init__(
        self,
        directory: Path,
        settings: Callable[[], Iterator[tuple[str, object]]],
        rolled_back: Callable[[], None],
        segment_size: int = SEGMENT_SIZE,
    ) -> None:
        self._directory = directory
        self._settings = settings
        self._rolled_back = rolled_back
        self._segment_size = segment_size
        self._files: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._durable_ends: dict[int, int] = {}
        self._segment = 0
        self._buffer: list[tuple[int, list[bytes]]] = []
        self._waiters: list[Waiter] = []
        self._missed: list[tuple[str, object]] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._sealer = Sealer()
        self._syncing: asyncio.Task[None] | None = None
        self._retry: asyncio.TimerHandle | None = None
        self.live: dict[int, int] = {}
        self.failure: StorageError | None = None

    # Opening.

    def replay(self, sink: ReplaySink) -> None:
        """Open the journal and give all that it holds to `sink`. Raises OSError."""
        self._directory.mkdir(parents=True, exist_ok=True)
        numbers = sorted(int(path.stem.split("-")[1]) for path in self._directory.glob("journal-*.log"))
        for number in numbers or [1]:
            self._open(number)
        self._remove_lone_indexes()
        segments = [Segment(number, self._path(number), descriptor) for number, descriptor in self._files.items()]
        replay(segments, sink)
        for segment in segments:
            self._take_over(segment)
        self._seal()
        self._sync_directory()

    def _take_over(self, segment: Segment) -> None:
        """Cut off what is torn, and go on with the last segment; older ones that had to be read get an index."""
        number, torn = segment.number, segment.size - segment.end
        if torn:
            logger.warning("%s: the last %d bytes were never written whole, and are cut off", segment.path, torn)
            os.ftruncate(segment.descriptor, segment.end)
        self._ends[number] = self._durable_ends[number] = segment.end
        if not segment.damaged and not segment.indexed:
            self._sealer.begin(number, segment.columns, segment.end)

    def _remove_lone_indexes(self) -> None:
        """An index outlives its segment when a crash comes between: another segment may get its number."""
        for path in self._directory.glob("journal-*.index"):
            if not path.with_suffix(".log").exists():
                path.unlink()

    def _open(self, number: int) -> None:
        self._files[number] = os.open(self._path(number), _READABLE, 0o644)
        self._ends[number] = self._durable_ends[number] = 0
        self.live.setdefault(number, 0)
        self._segment = number

    def _begin(self, number: int) -> None:
        self._open(number)
        self._sealer.begin(number)

    def _path(self, number: int) -> Path:
        return self._directory / _NAME.format(number)

    def _sync_directory(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    # Appending.

    def append(
        self, topic_id: int, first: int, counts: Sequence[int], bodies: Sequence[bytes], waiter: Waiter | None
    ) -> list[int]:
        """Append entries whose numbers follow each other; returns their places. Raises StorageError."""
        if self.failure is not None:
            raise self.failure
        wheres: list[int] = []
        while len(wheres) < len(bodies):
            if self._ends[self._segment] > self._segment_size:
                self._roll()
            done = len(wheres)
            wheres += self._place_some(topic_id, first + done, counts[done:], bodies[done:])
        if waiter is not None:
            self._waiters.append(waiter)
        self._sync_soon()
        return wheres

    def _place_some(self, topic_id: int, first: int, counts: Sequence[int], bodies: Sequence[bytes]) -> list[int]:
        """Place entries until the segment is full: at least one."""
        chunks, wheres = self._chunks(), []
        end = self._ends[self._segment]
        base, limit = place(self._segment, HEAD_SIZE), self._segment_size
        for number, (count, body) in enumerate(zip(counts, bodies, strict=True), first):
            chunks.append(encode_head(ENTRY, topic_id, number, count, body))
            chunks.append(body)
            wheres.append(base + end)
            end += HEAD_SIZE + len(body)
            if end > limit:
                break
        self._ends[self._segment] = end
        return wheres

    def set(self, key: str, value: object) -> None:
        """Append a setting; None deletes its key. While the disk refuses it is remembered."""
        if self.failure is None:
            if self._ends[self._segment] > self._segment_size:
                self._roll()
            self._place_setting(key, value)
            self._sync_soon()
        else:
            self._missed.append((key, value))

    def barrier(self, waiter: Waiter) -> None:
        """Call a waiter once all that was appended until now is durable."""
        if self.failure is not None:
            waiter.failed(self.failure)
        elif self._syncing is None:
            waiter.durable()
        else:
            self._waiters.append(waiter)

    async def settled(self) -> None:
        """Wait until all that was appended until now is durable. Raises StorageError."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.barrier(_FutureWaiter(future))
        await future

    def _chunks(self) -> list[bytes]:
        """Return where heads and bodies for the segment gather, by turns."""
        if not self._buffer or self._buffer[-1][0] != self._segment:
            self._buffer.append((self._segment, []))
        return self._buffer[-1][1]

    def _place_setting(self, key: str, value: object) -> None:
        body = encode_setting(key, value)
        self._chunks().extend((encode_head(SETTING, 0, 0, 0, body), body))
        self._ends[self._segment] += HEAD_SIZE + len(body)

    def _roll(self) -> None:
        """Begin a new segment with all settings; what is buffered still goes to the old one."""
        try:
            self._begin(self._segment + 1)
        except OSError as error:
            # The old segment has no limit but the disk's: it grows until a new one can be had.
            logger.warning("%s: no new file: %s", self._directory, error.strerror)
            return
        self._place_settings()

    def _place_settings(self) -> None:
        for key, value in [(HEAD_BEGINS, None), *self._settings(), (HEAD_ENDS, None)]:
            self._place_setting(key, value)

    # Syncing.

    def _sync_soon(self) -> None:
        if self._syncing is None:
            self._syncing = asyncio.get_running_loop().create_task(self._sync(), name="journal sync")

    async def _sync(self) -> None:
        """Write and sync what has gathered, until nothing has: each sync takes all that came during the one before."""
        loop = asyncio.get_running_loop()
        while self._buffer or self._waiters:  # a barrier that came during the last sync has nothing of its own to write
            groups, self._buffer = self._buffer, []
            waiters, self._waiters = self._waiters, []
            try:
                await loop.run_in_executor(self._thread, self._write, groups)
            except OSError as error:
                self._waiters = waiters + self._waiters
                self._fail(error)
                break
            self._seal()
            if self.failure is not None:
                self._recover()
            for waiter in waiters:
                waiter.durable()
        self._syncing = None

    def _write(self, groups: list[tuple[int, list[bytes]]]) -> None:
        for segment, chunks in groups:
            written = _write_all(self._files[segment], chunks)
            if not self._durable_ends[segment]:
                self._sync_directory()
                self._leave_on_disk(segment - _SEGMENTS_IN_MEMORY)
            self._durable_ends[segment] += written
            self._sealer.written(segment, b"".join(chunks[::2]))

    def _leave_on_disk(self, segment: int) -> None:
        """Give the memory that the system keeps a segment in to the one that is written next.

        What is read soon is in the cache of entries, or in the newest segments. Fresh memory is dear in a virtual machine:
        its host has to find each page, which takes several times as long as the write itself.
        """
        descriptor = self._files.get(segment)
        if descriptor is not None:
            with suppress(OSError):  # it may be deleted meanwhile
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def _seal(self) -> None:
        """Let the segments that get nothing any more have their indexes."""
        for number in self._sealer.growing:
            if number != self._segment and self._ends[number] == self._durable_ends[number]:
                self._sealer.seal(number, self._path(number), self._ends[number])

    def _fail(self, error: OSError) -> None:
        """Cut the files back to what is durable, and try a new segment every second: its head has all settings."""
        first = self.failure is None
        self.failure = self._failure_of(error)
        if first:
            logger.error("%s", self.failure)
        self._buffer.clear()
        for segment, end in self._durable_ends.items():
            if self._ends[segment] != end:
                with suppress(OSError):
                    # What can't be cut off now is replaced when it is replayed: its numbers are given again.
                    os.ftruncate(self._files[segment], end)
                self._ends[segment] = end
        waiters, self._waiters = self._waiters, []
        self._rolled_back()
        for waiter in waiters:
            waiter.failed(self.failure)
        self._retry = asyncio.get_running_loop().call_later(_RETRY_INTERVAL, self._try_again)

    def _recover(self) -> None:
        self.failure = None
        logger.warning("%s can be written again", self._directory)
        missed, self._missed = self._missed, []
        for key, value in missed:
            self.set(key, value)

    def _failure_of(self, error: OSError) -> StorageError:
        return StorageError(f"{self._directory} can't be written: {error.strerror}; make room and it goes on by itself")

    def _try_again(self) -> None:
        try:
            self._drop_empty()
            self._begin(self._segment + 1)
        except OSError as error:
            self._fail(error)
            return
        self._missed.clear()
        self._place_settings()
        self._sync_soon()

    def _drop_empty(self) -> None:
        for number in [number for number, end in self._durable_ends.items() if not end and number > 1]:
            self.delete(number)

    # Reading and deleting.

    def read(self, where: int, size: int) -> bytes:
        """Return the bytes of a durable body. Raises DamagedError."""
        segment = segment_of(where)
        record = os.pread(self._files[segment], HEAD_SIZE + size, position_of(where) - HEAD_SIZE)
        body = body_of(record)
        if body is None:
            raise DamagedError(f"{self._path(segment)}: the record at byte {position_of(where) - HEAD_SIZE} is damaged")
        return body

    def read_some(self, wheres: Sequence[int], sizes: Sequence[int]) -> list[bytes]:
        """Return the bytes of a durable body and of those that stand right behind it. Raises DamagedError for the first."""
        start, length = wheres[0] - HEAD_SIZE, 0
        for where, size in zip(wheres, sizes, strict=True):
            if where - HEAD_SIZE != start + length or length > READ_AT_ONCE:
                break
            length += HEAD_SIZE + size
        data = os.pread(self._files[segment_of(start)], length, position_of(start))
        found: list[bytes] = []
        at = 0
        for size in sizes:
            body = body_of(data[at : at + HEAD_SIZE + size])
            if body is None:
                break
            found.append(body)
            at += HEAD_SIZE + size
        return found or [self.read(wheres[0], sizes[0])]

    @property
    def sealed(self) -> dict[int, int]:
        """The sizes of the segments, oldest first, that get nothing any more and whose settings a later one holds."""
        if not self._durable_ends[self._segment]:
            return {}
        ends = sorted(self._durable_ends.items())
        return {number: end for number, end in ends if number < self._segment and end == self._ends[number]}

    @property
    def segment(self) -> int:
        """The number of the segment that is being written."""
        return self._segment

    @property
    def size(self) -> int:
        """The bytes of all segments."""
        return sum(self._ends.values())

    def delete(self, segment: int) -> None:
        """Delete a sealed segment; all settings must be durable in a later one, and nothing may want its entries."""
        os.close(self._files.pop(segment))
        for table in (self._ends, self._durable_ends, self.live):
            table.pop(segment, None)
        self._sealer.forget(segment, self._path(segment))
        self._path(segment).unlink()

    async def close(self) -> None:
        """Make everything durable and close the files."""
        while self._syncing is not None:
            await self._syncing
        if self._retry is not None:
            self._retry.cancel()
        self._thread.shutdown()
        self._sealer.close()
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files.clear()


def _write_all(descriptor: int, chunks: Sequence[bytes]) -> int:
    """Write chunks, and sync them: at once where they are few; many small ones cost less when they are joined first."""
    if len(chunks) <= _CHUNKS_AT_ONCE:
        size = sum(map(len, chunks))
        written = os.writev(descriptor, chunks)
        if written == size:
            return size
    else:
        written = 0
    view = memoryview(b"".join(chunks))
    while written < len(view):
        written += os.write(descriptor, view[written:])
    return written


class _FutureWaiter:
    """Waits in a coroutine."""

    def __init__(self, future: asyncio.Future[None]) -> None:
        self._future = future

    def durable(self) -> None:
        if not self._future.done():
            self._future.set_result(None)

    def failed(self, error: StorageError) -> None:
        if not self._future.done():
            self._future.set_exception(error)
