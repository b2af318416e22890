"""Reading a segment's records back from what a crash or a bad disk left. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import NamedTuple, Protocol

from magnetar_broker.store.columns import Columns
from magnetar_broker.store.records import CHECKED_FROM, ENTRY, HEAD, HEAD_SIZE, MAGIC, checksum_of, decode_setting

HEAD_BEGINS, HEAD_ENDS = "head/begin", "head/end"


@dataclass(frozen=True)
class Damage:
    """A part of a segment that is not what was written; `entry` names the topic's id and the entry where they are known."""

    start: int
    end: int
    entry: tuple[int, int] | None = None


class Sink(Protocol):
    """Takes in what a segment holds, in order."""

    def entries(self, columns: Columns) -> None:
        """Take some neighbouring entries."""

    def setting(self, key: str, value: object) -> None:
        """Take a setting."""

    def damage(self, damage: Damage) -> None:
        """Take note of damage with whole records after it."""


def scan(data: mmap | bytes, sink: Sink, start: int = 0) -> int:
    """Read the records of a segment from `start` on into `sink`; returns where the last whole one ends.

    What follows is a torn tail. Damage before the last whole record is none: it is told, and reading goes on after it.
    """
    view = memoryview(data)
    try:
        return _scan(data, view, sink, start)
    finally:
        view.release()


def _scan(data: mmap | bytes, view: memoryview, sink: Sink, at: int) -> int:
    end, unpack, columns = len(data), HEAD.unpack_from, Columns()
    while at + HEAD_SIZE <= end:
        magic, head_checksum, checksum, size, kind, topic_id, entry_id, count = unpack(view, at)
        start = at + HEAD_SIZE
        if magic != MAGIC or start + size > end or checksum_of(view[at + CHECKED_FROM : start]) != head_checksum:
            following = _next_record(data, view, at + 1, end)
            if following is None:
                break
            sink.damage(Damage(at, following))
            at = following
        elif checksum_of(view[start : start + size]) != checksum:
            if _next_record(data, view, start + size, end) is None:
                break
            at = start + size
            sink.damage(Damage(start, at, (topic_id, entry_id) if kind == ENTRY else None))
        elif kind == ENTRY:
            columns.add(topic_id, entry_id, count, start, size)
            at = start + size
        else:
            if columns:
                sink.entries(columns)
                columns = Columns()
            at = start + size
            sink.setting(*decode_setting(bytes(view[start:at])))
    if columns:
        sink.entries(columns)
    return at


class Record(NamedTuple):
    """A sound record, by where its body stands."""

    kind: int
    start: int
    end: int


def _record_at(view: memoryview, at: int, end: int) -> Record | None:
    if at + HEAD_SIZE > end:
        return None
    magic, head_checksum, checksum, size, kind, *_ = HEAD.unpack_from(view, at)
    start = at + HEAD_SIZE
    if magic != MAGIC or start + size > end or checksum_of(view[at + CHECKED_FROM : start]) != head_checksum:
        return None
    return Record(kind, start, start + size) if checksum_of(view[start : start + size]) == checksum else None


def _next_record(data: mmap | bytes, view: memoryview, at: int, end: int) -> int | None:
    """Return where the next sound record begins, None when there is none."""
    while (at := data.find(MAGIC, at)) >= 0:
        if _record_at(view, at, end) is not None:
            return at
        at += 1
    return None


def read_head(data: mmap | bytes) -> tuple[list[tuple[str, object]], int] | None:
    """Return the settings at the head of a segment and where they end; None when the head is not whole."""
    found: list[tuple[str, object]] = []
    with memoryview(data) as view:
        for key, value, end in _settings(view):
            if not found and key != HEAD_BEGINS:
                return None
            found.append((key, value))
            if key == HEAD_ENDS:
                return found[1:-1], end
    return None


def _settings(view: memoryview) -> Iterator[tuple[str, object, int]]:
    """Yield the settings that a segment begins with."""
    at = 0
    while (record := _record_at(view, at, len(view))) is not None and record.kind != ENTRY:
        at = record.end
        yield *decode_setting(bytes(view[record.start : at])), at
