"""Messages and their places, free of the official client's objects."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import pulsar

_LATEST = (1 << 63) - 1


@dataclass(frozen=True, order=True)
class MessageId:
    """A message's place in a topic; places of one topic compare in its order."""

    ledger_id: int
    entry_id: int
    batch_index: int = -1
    partition: int = -1

    @classmethod
    def of(cls, official: Any) -> Self:
        """Take a place from the official client's object."""
        return cls(official.ledger_id(), official.entry_id(), official.batch_index(), official.partition())

    @classmethod
    def deserialize(cls, data: bytes) -> Self:
        """Read what any Pulsar client wrote with `serialize`. Raises ValueError."""
        return cls.of(pulsar.MessageId.deserialize(data))

    def official(self) -> Any:
        """Return the official client's object of this place."""
        return pulsar.MessageId(self.partition, self.ledger_id, self.entry_id, self.batch_index)._msg_id  # noqa: SLF001

    def serialize(self) -> bytes:
        """Return the bytes that every Pulsar client reads as this place."""
        return bytes(self.official().serialize())


EARLIEST = MessageId(-1, -1)
LATEST = MessageId(_LATEST, _LATEST)


@dataclass(frozen=True)
class Message:
    """A message that was received; `key` is empty where it has none, `published_at` is in milliseconds of the epoch."""

    id: MessageId
    key: str
    data: bytes
    properties: Mapping[str, str]
    published_at: int
    topic: str

    @classmethod
    def of(cls, official: Any) -> Self:
        """Take a message from the official client's object."""
        return cls(
            id=MessageId.of(official.message_id()),
            key=official.partition_key(),
            data=official.data(),
            properties=official.properties(),
            published_at=official.publish_timestamp(),
            topic=official.topic_name(),
        )
