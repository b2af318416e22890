"""The form of the journal's records, and reading them back from what a crash or a bad disk left. Pure.

A record is a head and a body. The head has a magic number and a checksum of its own, so that its size can be trusted and
the next record is found after a damaged body; the body has another. There are two kinds: an entry of a topic, and a
setting (a key with a JSON value, or null when it is deleted).
"""

import json
import struct
from collections.abc import Callable
from dataclasses import dataclass
from mmap import mmap
from typing import Protocol

import crc32c

ENTRY, SETTING = 1, 2
_MAGIC = b"\xa7R"
_HEAD = struct.Struct(">2sIIIBIQI")
HEAD_SIZE = _HEAD.size
_CHECKED_FROM = 6
_checksum: Callable[..., int] = crc32c.crc32c

_POSITION_BITS = 40
_POSITION_MASK = (1 << _POSITION_BITS) - 1


def place(segment: int, position: int) -> int:
    """Pack where a body stands into one number; 0 is no place, for segments count from 1."""
    return segment << _POSITION_BITS | position


def segment_of(packed: int) -> int:
    """Return the segment of a place."""
    return packed >> _POSITION_BITS


def position_of(packed: int) -> int:
    """Return the position of a place in its segment."""
    return packed & _POSITION_MASK


def encode_head(kind: int, topic_id: int, entry_id: int, count: int, body: bytes) -> bytes:
    """Return the head of a record."""
    size, checksum = len(body), _checksum(body)
    unchecked = _HEAD.pack(_MAGIC, 0, checksum, size, kind, topic_id, entry_id, count)
    head_checksum = _checksum(unchecked[_CHECKED_FROM:])
    return _HEAD.pack(_MAGIC, head_checksum, checksum, size, kind, topic_id, entry_id, count)


def encode_setting(key: str, value: object) -> bytes:
    """Return the body of a setting."""
    return json.dumps([key, value], separators=(",", ":")).encode()


def decode_setting(body: bytes) -> tuple[str, object]:
    """Return the key and value of a setting's body."""
    key, value = json.loads(body)
    return str(key), value


def body_of(record: bytes) -> bytes | None:
    """Return the body of a whole record (head and body), None when it is damaged."""
    if len(record) < HEAD_SIZE:
        return None
    magic, _, checksum, size, *_ = _HEAD.unpack_from(record)
    body = record[HEAD_SIZE:]
    sound = magic == _MAGIC and size == len(body) and _checksum(body) == checksum
    return body if sound else None


@dataclass(frozen=True)
class Damage:
    """A part of a segment that is not what was written; `entry` names the topic's id and the entry where they are known."""

    start: int
    end: int
    entry: tuple[int, int] | None = None


class Sink(Protocol):
    """Takes in what a segment holds, in order."""

    def entry(self, topic_id: int, entry_id: int, count: int, position: int, size: int) -> None:
        """Take an entry of a topic; `position` is where its body stands."""

    def setting(self, key: str, value: object) -> None:
        """Take a setting."""

    def damage(self, damage: Damage) -> None:
        """Take note of damage with whole records after it."""


def scan(data: mmap | bytes, sink: Sink) -> int:
    """Read all records of a segment into `sink`; returns where the last whole one ends: what follows is a torn tail.

    Damage before the last whole record is no torn tail. It is told, and reading goes on after it.
    """
    at, end = 0, len(data)
    unpack = _HEAD.unpack_from
    view = memoryview(data)
    try:
        while at + HEAD_SIZE <= end:
            magic, head_checksum, checksum, size, kind, topic_id, entry_id, count = unpack(view, at)
            start = at + HEAD_SIZE
            if magic != _MAGIC or start + size > end or _checksum(view[at + _CHECKED_FROM : start]) != head_checksum:
                following = _next_record(data, view, at + 1, end)
                if following is None:
                    break
                sink.damage(Damage(at, following))
                at = following
                continue
            at = start + size
            if _checksum(view[start:at]) != checksum:
                if _next_record(data, view, at, end) is None:
                    return start - HEAD_SIZE
                sink.damage(Damage(start, at, (topic_id, entry_id) if kind == ENTRY else None))
            elif kind == ENTRY:
                sink.entry(topic_id, entry_id, count, start, size)
            else:
                sink.setting(*decode_setting(bytes(view[start:at])))
    finally:
        view.release()
    return at


def _head_at(view: memoryview, at: int, end: int) -> tuple[int, int, int, int, int, int] | None:
    """Return a head's fields where a sound one stands whose body is within the segment."""
    if at + HEAD_SIZE > end:
        return None
    magic, head_checksum, checksum, size, kind, topic_id, entry_id, count = _HEAD.unpack_from(view, at)
    if magic != _MAGIC or at + HEAD_SIZE + size > end:
        return None
    if _checksum(view[at + _CHECKED_FROM : at + HEAD_SIZE]) != head_checksum:
        return None
    return checksum, size, kind, topic_id, entry_id, count


def _next_record(data: mmap | bytes, view: memoryview, at: int, end: int) -> int | None:
    """Return where the next sound record begins, None when there is none."""
    while (at := data.find(_MAGIC, at)) >= 0:
        head = _head_at(view, at, end)
        if head is not None:
            start = at + HEAD_SIZE
            if _checksum(view[start : start + head[1]]) == head[0]:
                return at
        at += 1
    return None
