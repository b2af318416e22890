"""A producer of one topic."""

from collections.abc import Mapping
from typing import Any

from magnetar.pulsar_client.lanes import Lanes
from magnetar.pulsar_client.messages import MessageId


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

    async def close(self) -> None:
        """Close; messages on their way get their answers first."""
        await self._lanes.closing(self._official.close)
