"""Messages by the broker's entry that they came in: producers put many messages into one, and brokers know only entries.

The client takes as long for each acknowledgement as for receiving the message. An entry of which every message was taken
is acknowledged with one call instead.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import _pulsar

_LEDGER, _ENTRY, _PARTITION, _BATCH_INDEX, _BATCH_SIZE = 1, 2, 3, 4, 6
_INDEX_TAG = bytes([_BATCH_INDEX << 3])


@dataclass(frozen=True)
class Position:
    """A message's id, read from its serialized form; a message that was sent alone has no index and the size 0."""

    ledger: int
    entry: int
    partition: int = -1
    index: int = -1
    size: int = 0


class Entry:
    """Messages of one entry that were taken one after the other, in their order."""

    __slots__ = ("_first", "broken", "done", "last", "messages", "prefix", "topic")

    def __init__(self, serialized: bytes, topic: str) -> None:
        self._first = position_of(serialized)
        self.topic = topic
        self.prefix = _prefix(serialized, self._first)
        """What the ids of this entry's messages begin with, and no others."""
        self.messages: list[Any] = []
        self.last = serialized
        self.broken = False
        """Set when one of its messages failed, or is settled by itself."""
        self.done: set[bytes] = set()
        """Ids of its messages that were done at an earlier delivery."""

    @property
    def is_batch(self) -> bool:
        """Whether more than one message came in this entry."""
        return self._first.size > 1

    @property
    def rest(self) -> int:
        """How many messages of the entry are still to come."""
        return self._first.size - 1 - position_of(self.last).index if self._first.size else 0

    def identities(self) -> Iterator[Any]:
        """Yield what to acknowledge: the entry where all of it is here, else each message.

        A redelivery begins at an entry's first message. So where the first and the last of them and as many as there are
        stand in a row, none is missing.
        """
        whole = self._first.index == 0 and self.rest == 0 and len(self.messages) == self._first.size > 1
        if not whole or self.broken:
            yield from self.messages
            return
        identity = _pulsar.MessageId(self._first.partition, self._first.ledger, self._first.entry, -1)
        identity.topic_name(self.topic)
        yield identity


class DoneParts:
    """Which messages of entries are done of which others failed: brokers redeliver an entry whole.

    Keeps the latest entries alone: a redelivery may go to another instance and never come here.
    """

    def __init__(self, most: int = 1000) -> None:
        self._most = most
        self._done: dict[tuple[str, bytes], set[bytes]] = {}
        self._lock = threading.Lock()

    def note(self, entry: Entry) -> None:
        """Remember the messages of an entry that were acknowledged while others of it were not."""
        identities = {message.message_id().serialize() for message in entry.messages}
        with self._lock:
            self._done.setdefault((entry.topic, entry.prefix), set()).update(identities)
            while len(self._done) > self._most:
                del self._done[next(iter(self._done))]

    def of(self, entry: Entry) -> set[bytes]:
        """Return the ids of an entry's messages that are done, and forget them: they are about to come again."""
        if not self._done:
            return _NONE
        with self._lock:
            return self._done.pop((entry.topic, entry.prefix), _NONE)


_NONE: set[bytes] = set()


def _prefix(serialized: bytes, position: Position) -> bytes:
    if position.index < 0:
        return serialized
    fields = _varint(position.ledger, _LEDGER) + _varint(position.entry, _ENTRY)
    if position.partition >= 0:
        fields += _varint(position.partition, _PARTITION)
    return fields + _INDEX_TAG


def _varint(value: int, field: int) -> bytes:
    parts = [field << 3]
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def position_of(serialized: bytes) -> Position:
    """Read a serialized message id (Pulsar's MessageIdData)."""
    values = dict(_fields(serialized))
    partition, index = (_signed(values.get(field, -1)) for field in (_PARTITION, _BATCH_INDEX))
    size = values.get(_BATCH_SIZE, 0) if index >= 0 else 0
    return Position(values[_LEDGER], values[_ENTRY], partition, index, size)


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _fields(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the numbers of a protobuf message by field; other fields are passed over."""
    at = 0
    while at < len(data):
        tag, at = _read(data, at)
        value, at = _read(data, at)
        if tag & 7 == 0:
            yield tag >> 3, value
        else:
            at += value


def _read(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
