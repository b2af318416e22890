"""A reader of one topic."""

import threading
from collections import deque
from typing import Any

from magnetar.pulsar_client.lanes import Lanes
from magnetar.pulsar_client.messages import Message

# The client wakes ten times a second to look for signals when it is given no limit.
_FOR_EVER_MS = (1 << 31) - 1
# For the message that the broker said is there.
_PROMISED_MS = 10_000


class Reader:
    """Reads a topic in order; no message is lost to a cancelled `read`: the next one returns it."""

    def __init__(self, lanes: Lanes, official: Any, topic: str) -> None:
        self._lanes = lanes
        self._official = official
        self._received: deque[Message] = deque()
        self._reading = threading.Lock()
        self._closed = False
        self.topic = topic

    async def read(self) -> Message:
        """Return the next message, waiting for it as long as it takes. Raises ClosedResourceError once closed."""
        while not self._received:
            await self._lanes.read(f"reading {self.topic}", self._receive)
        return self._received.popleft()

    async def read_available(self) -> list[Message]:
        """Return all messages up to the end that the topic has now."""
        await self._lanes.read(f"reading {self.topic}", self._receive_available)
        messages = list(self._received)
        self._received.clear()
        return messages

    async def has_message_available(self) -> bool:
        """Whether `read` would return at once."""
        if self._received:
            return True
        return bool(await self._lanes.call(f"reading {self.topic}", self._official.has_message_available))

    async def close(self) -> None:
        """Close; a blocked `read` raises ClosedResourceError."""
        if not self._closed:
            self._closed = True
            await self._lanes.closing(self._official.close)

    def _receive(self) -> None:
        with self._reading:
            if not self._received:
                self._received.append(Message.of(self._official.read_next(_FOR_EVER_MS)))

    def _receive_available(self) -> None:
        with self._reading:
            while self._official.has_message_available():
                self._received.append(Message.of(self._official.read_next(_PROMISED_MS)))
