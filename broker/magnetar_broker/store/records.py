"""The form of the journal's records. Pure.

A record is a head and a body. The head has a magic number and a checksum of its own, so that its size can be trusted and
the next record is found after a damaged body; the body has another. There are two kinds: an entry of a topic, and a
setting (a key with a JSON value, or null when it is deleted).
"""

import json
import struct
from collections.abc import Callable

import crc32c

ENTRY, SETTING = 1, 2
MAGIC = b"\xa7R"
HEAD = struct.Struct(">2sIIIBIQI")
HEAD_SIZE = HEAD.size
CHECKED_FROM = 6
checksum_of: Callable[..., int] = crc32c.crc32c

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
    size, checksum = len(body), checksum_of(body)
    unchecked = HEAD.pack(MAGIC, 0, checksum, size, kind, topic_id, entry_id, count)
    head_checksum = checksum_of(unchecked[CHECKED_FROM:])
    return HEAD.pack(MAGIC, head_checksum, checksum, size, kind, topic_id, entry_id, count)


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
    magic, _, checksum, size, *_ = HEAD.unpack_from(record)
    body = record[HEAD_SIZE:]
    sound = magic == MAGIC and size == len(body) and checksum_of(body) == checksum
    return body if sound else None
