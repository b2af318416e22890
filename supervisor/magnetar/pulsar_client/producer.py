"""A producer of one topic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from magnetar.pulsar_client.lanes import Lanes
from magnetar.pulsar_client.messages import MessageId


@dataclass(frozen=True)
class Outgoing:
    """A message to be sent."""

    data: bytes
    key: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)


class Producer:
    """Sends one message after the other, each confirmed by the broker."""

    def __init__(self, lanes: Lanes, official: Any, topic: str) -> None:
        self._lanes = lanes
        self._official = official
        self.topic = topic

    @property
    def name(self) -> str:
        """The name that the broker knows it by."""
        return str(self._official.producer_name())

    @property
    def last_sequence_id(self) -> int:
        """The sequence id of the last message that the broker confirmed, -1 before the first."""
        return int(self._official.last_sequence_id())

    async def send(self, data: bytes, key: str = "", properties: Mapping[str, str] | None = None) -> MessageId:
        """Send a message and wait until it is durable.

        Raises FencedError when another producer took the topic, NotReadyError without an answer: then it may be stored.
        """
        given = dict(properties or {})
        sent = await self._lanes.call(
            f"sending to {self.topic}", lambda: self._official.send(data, given, partition_key=key or None)
        )
        return MessageId.of(sent)

    async def send_all(self, messages: Sequence[Outgoing]) -> MessageId:
        """Send messages in order, wait until all are durable and return the place of the last; errors are `send`'s.

        They travel together, so that many cost little more than one; each must be below the broker's maximum size.
        """
        return MessageId.of(await self._lanes.call(f"sending to {self.topic}", lambda: self._send_all(messages)))

    def _send_all(self, messages: Sequence[Outgoing]) -> Any:
        *others, last = messages
        for each in others:
            # Without a callback: one that calls into Python costs ten times the message.
            self._official.send_async(each.data, None, dict(each.properties), partition_key=each.key or None)
        return self._official.send(last.data, dict(last.properties), partition_key=last.key or None)

    async def close(self) -> None:
        """Close; messages on their way get their answers first."""
        await self._lanes.closing(self._official.close)
