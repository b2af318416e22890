"""A consumer of one subscription."""

import threading
from collections import deque
from enum import Enum
from typing import Any

import pulsar

from magnetar.pulsar_client.lanes import Lanes
from magnetar.pulsar_client.messages import Message, MessageId

_FOR_EVER_MS = (1 << 31) - 1


class SubscriptionKind(Enum):
    """How consumers of one subscription share its messages."""

    EXCLUSIVE = "Exclusive"
    SHARED = "Shared"
    FAILOVER = "Failover"
    KEY_SHARED = "KeyShared"

    def official(self) -> Any:
        """Return the official client's constant."""
        return getattr(pulsar.ConsumerType, self.value)


class Consumer:
    """Receives messages and acknowledges them; no message is lost to a cancelled `receive`: the next one returns it."""

    def __init__(self, lanes: Lanes, official: Any, topic: str) -> None:
        self._lanes = lanes
        self._official = official
        self._received: deque[Message] = deque()
        self._receiving = threading.Lock()
        self._unacknowledged: dict[
            MessageId, Any
        ] = {}  # the client's own ids: of a batch they know more than the place
        self._closed = False
        self.topic = topic

    async def receive(self) -> Message:
        """Return the next message, waiting for it as long as it takes. Raises ClosedResourceError once closed."""
        while not self._received:
            await self._lanes.read(f"receiving from {self.topic}", self._receive)
        return self._received.popleft()

    async def acknowledge(self, message: Message) -> None:
        """Tell the broker that a message is done with."""
        place = self._unacknowledged.pop(message.id)
        await self._lanes.call(f"acknowledging to {self.topic}", lambda: self._official.acknowledge(place))

    async def close(self) -> None:
        """Close; a blocked `receive` raises ClosedResourceError."""
        if not self._closed:
            self._closed = True
            await self._lanes.closing(self._official.close)

    async def unsubscribe(self) -> None:
        """Close, and have the broker forget the subscription; within bounds, and also when cancelled."""
        if not self._closed:
            self._closed = True
            await self._lanes.closing(self._unsubscribe)

    def _unsubscribe(self) -> None:
        try:
            self._official.unsubscribe()
        finally:
            self._official.close()

    def _receive(self) -> None:
        with self._receiving:
            if not self._received:
                official = self._official.receive(_FOR_EVER_MS)
                message = Message.of(official)
                self._unacknowledged[message.id] = official.message_id()
                self._received.append(message)
