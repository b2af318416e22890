"""The consumers of an instance.

Nobody polls: where nothing waits, each consumer is asked for its next message with a callback, which puts it into one
queue. While messages wait they are taken one by one without waiting, which costs a twentieth of a callback. A message is
taken only when it is about to be processed: what was not taken is redelivered when the consumer closes.
"""

import contextlib
import logging
import queue
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pulsar

_PATIENCE_MS = 2
"""How long a lone consumer is waited for before a callback is asked for: at high rates the next message is near."""


def _nothing_waits(_: int) -> Any:
    """Stand for `receive` where the client keeps no queue: only a callback gets messages then."""
    raise pulsar.Timeout


class Input:
    """One consumer; messages are the client's own objects, which its wrapper class only delays."""

    def __init__(
        self,
        topic: str,
        consumer: pulsar.Consumer,
        decode: Callable[[Any], object],
        logger: logging.Logger,
        *,
        queued: bool = True,
    ) -> None:
        self.topic = topic
        self.decode = decode
        self.consumer = consumer
        self._raw = consumer._consumer  # noqa: SLF001 - the wrapper makes an object for each message
        self.receive: Callable[[int], Any] = self._raw.receive if queued else _nothing_waits
        """The client's own: waits so many milliseconds, raises pulsar.Timeout when nothing came."""
        self._acknowledge = self._raw.acknowledge
        self._logger = logger

    def take(self, patience_ms: int = 0) -> Any:
        """Return a message that waits, None where none does. Raises AlreadyClosed."""
        try:
            return self.receive(patience_ms)
        except pulsar.Timeout:
            return None

    def arm(self, put: "Callable[[Arrival], None]") -> None:
        """Have the next message given to `put`, on the client's thread."""
        self._raw.receive_async(lambda result, message: put(Arrival(self, result, message)))

    def acknowledge(self, identities: Iterable[Any]) -> None:
        """Acknowledge messages, or ids of theirs; those of a consumer that was closed will come again."""
        acknowledge = self._acknowledge
        try:
            for identity in identities:
                acknowledge(identity)
        except pulsar.PulsarException as error:
            self._logger.warning("messages of %s could not be acknowledged and will come again: %s", self.topic, error)

    def reject(self, messages: Iterable[Any]) -> None:
        """Have messages redelivered after a while."""
        for message in messages:
            self._raw.negative_acknowledge(message)

    def is_of(self, topic: str) -> bool:
        """Tell whether a message of this topic, or of a partition of it, can have come from here."""
        names = {full_topic(topic), full_topic(topic.rpartition("-partition-")[0] or topic)}
        return full_topic(self.topic) in names or self.consumer.topic() in names


@dataclass(frozen=True)
class Arrival:
    """What a consumer answered when it was asked for its next message."""

    source: Input
    result: pulsar.Result
    message: Any


class Inputs:
    """All consumers of an instance; used by one thread, but for `end`."""

    def __init__(self, inputs: list[Input]) -> None:
        self.all = inputs
        self._arrivals: queue.SimpleQueue[Arrival | None] = queue.SimpleQueue()
        self._due: deque[Input] = deque(inputs)
        self._empty: list[Input] = []
        self._ended = False

    def waiting(self) -> tuple[Input, Any] | None:
        """Return a message that waits, of the input that was asked longest ago; None where none does.

        Raises AlreadyClosed.
        """
        while self._due and not self._arrivals.qsize():
            source = self._due.popleft()
            message = source.take()
            if message is not None:
                return source, message
            self._empty.append(source)
        return self._arrived(0) if self._arrivals.qsize() else None

    def next(self, timeout: float | None = None) -> tuple[Input, Any] | None:
        """Wait for a message; None when the time is over or after `end`.

        Raises PulsarException when a consumer can't go on.
        """
        if self._ended:
            return None
        if len(self.all) == 1 and self._empty:
            message = self._empty[0].take(_PATIENCE_MS)
            if message is not None:
                return self._empty.pop(), message
        self._arm(self._arrivals.put)
        return self._arrived(timeout)

    def arm(self, wake: Callable[[], None]) -> None:
        """Have `wake` called on the client's thread when `waiting` will find something again."""

        def put(arrival: Arrival) -> None:
            self._arrivals.put(arrival)
            wake()

        self._arm(put)

    def _arm(self, put: Callable[[Arrival], None]) -> None:
        while self._empty:
            self._empty.pop().arm(put)

    def _arrived(self, timeout: float | None) -> tuple[Input, Any] | None:
        try:
            arrival = self._arrivals.get(timeout=timeout)
        except queue.Empty:
            return None
        if arrival is None:
            return None
        if arrival.result != pulsar.Result.Ok:
            raise pulsar.PulsarException(f"{arrival.source.topic}: {arrival.result}")
        return arrival.source, arrival.message

    def done_with(self, source: Input) -> None:
        """Give an input back that was returned: the others are asked before it."""
        self._due.append(source)

    def end(self) -> None:
        """Have `next` return None from now on, from any thread, also one that waits already."""
        self._ended = True
        self._arrivals.put(None)

    def acknowledge(self, identity: pulsar.MessageId, topic: str) -> None:
        """Acknowledge a message of a topic or of one of its partitions. Raises ValueError for an unknown topic."""
        for source in self.all:
            if source.is_of(topic):
                source.consumer.acknowledge(identity)
                return
        raise ValueError(f"{topic!r} is no input of this function")

    def close(self) -> None:
        """Close the consumers; what was acknowledged is told to the broker first."""
        for source in self.all:
            with contextlib.suppress(pulsar.PulsarException):
                source.consumer.close()


def full_topic(topic: str) -> str:
    """Return a topic's full name."""
    if "://" in topic:
        return topic
    return f"persistent://{topic}" if topic.count("/") > 1 else f"persistent://public/default/{topic}"
