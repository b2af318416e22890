"""Results that a broker takes once, however often they are sent: EFFECTIVELY_ONCE.

Each ledger of each input topic has a producer of its own on each output partition, whose sequence ids follow from the
input: after a restart the same inputs give the same ids, and the broker's de-duplication drops what it has. Batches are
judged by one id as a whole, and the client gives a batch its lowest: sent again and batched otherwise, what was stored
would be stored twice. So results are sent singly, whatever the config says of batching.
"""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulsar
from pulsar.schema import Schema

from magnetar_instance.entries import Position, position_of
from magnetar_instance.messages import build
from magnetar_instance.publishing import Apart, Publisher
from magnetar_instance.schemas import Importer
from magnetar_instance.sequences import partition_of, place_of, producer_name, sequence_of
from magnetar_instance.settings import InstanceSettings

_BUSY_SECONDS = 15.0
"""So long a producer's name is waited for that another instance has; then this one begins anew."""
_BUSY_PAUSE = 0.1
_IDLE_SECONDS = 3.0
"""So long an unused producer is kept: the partition may have gone to another instance, which waits for the name."""
_MOST_NAMES = 10


@dataclass
class _Outlet:
    """The producers for one ledger of an input topic, by topic or partition to write to."""

    producers: dict[str, Any] = field(default_factory=dict)
    fresh: bool = True
    used: float = 0.0


class SequencedPublisher(Publisher):
    """A publisher whose results carry sequence ids; what a function publishes by itself does not."""

    def __init__(
        self,
        client: pulsar.Client,
        settings: InstanceSettings,
        schema: Schema,
        import_module: Importer,
        logger: logging.Logger,
        failed: Callable[[str], None],
    ) -> None:
        super().__init__(client, settings, schema, import_module, logger, failed)
        self._fqfn = settings.fqfn
        self._new_builder = super().result_builder()
        self._outlets: dict[tuple[str, int], _Outlet] = {}
        self._outlet = _Outlet()
        self._origin = ("", -1)
        self._position = Position(-1, -1)
        self._results = self._sequence = 0
        self._partitions: dict[str, list[str]] = {}
        self._look_again = 0.0
        self.blocked = ""
        """Why nothing can be sent any more: the message at hand may be another instance's by now."""
        self._hurried = threading.Event()
        self._answers: queue.SimpleQueue[pulsar.Result | None] = queue.SimpleQueue()

    def begin(self, message: Any) -> None:
        """Let the results to come be those of this message; called again, they are the same ones again."""
        self._position = position_of(message.message_id().serialize())
        self._results = 0
        origin = (message.topic_name(), self._position.ledger)
        if origin != self._origin:
            self._origin = origin
            self._outlet = self._outlets.setdefault(origin, _Outlet())
        self._outlet.fresh = True

    def result_builder(self) -> Callable[[], Any]:
        """Return what makes the client's builder for a result, with its sequence id."""
        return self._next_result

    def _next_result(self) -> Any:
        builder = self._new_builder()
        builder.sequence_id(self._next_sequence())
        return builder

    def _next_sequence(self) -> int:
        self._sequence = sequence_of(self._position, self._results)
        self._results += 1
        return self._sequence

    def send_result(self, message: Any, size: int, apart: Apart) -> None:  # noqa: ARG002 - its round is settled in order
        """Hand over a result. Raises the client's exceptions, also for what the broker does not take."""
        self._send_in_order(self._sink, message, size)

    def send(
        self,
        topic: str,
        data: bytes,
        properties: Mapping[str, str],
        apart: Apart,
        *,
        options: Mapping[str, Any] | None = None,
        is_result: bool = False,
        **others: Any,
    ) -> None:
        """Hand over a message to any topic; only results are taken once. Raises the client's exceptions."""
        if not is_result:
            super().send(topic, data, properties, apart, options=options, **others)
            return
        message = build(data, properties, {**(options or {}), "sequence_id": self._next_sequence()})
        self._send_in_order(topic, message, len(data))

    def _send_in_order(self, topic: str, message: Any, size: int) -> None:
        output = self._partition(topic, message)
        producer = self._outlet.producers.get(output)
        if producer is None:
            producer = self._outlet.producers[output] = self._open(output)
        self._unflushed[(output, self._origin)] = producer
        if size <= self._sure_size:
            producer.send_async(message, None)
        else:
            self._send_and_wait(producer, message)

    def _partition(self, topic: str, message: Any) -> str:
        known = self._partitions.get(topic)
        if known is None:
            known = self._partitions[topic] = self._client.get_topic_partitions(topic)
        return known[0] if len(known) == 1 else known[partition_of(message.partition_key(), self._sequence, len(known))]

    def _send_and_wait(self, producer: Any, message: Any) -> None:
        """Send what may not be taken: nothing with a higher id may follow it before that is known."""
        answers = self._answers = queue.SimpleQueue()
        producer.send_async(message, lambda result, _: answers.put(result))
        result = None if self._hurried.is_set() else answers.get()
        if result is None:
            raise pulsar.PulsarException("the instance stops before the broker has confirmed a result")
        if result != pulsar.Result.Ok:
            raise pulsar.PulsarException(f"a result was not taken: {result}")

    def _open(self, output: str) -> Any:
        """Make a producer whose name is used by this scheme alone. Raises the client's exceptions."""
        topic, ledger = self._origin
        for attempt in range(_MOST_NAMES):
            name = producer_name(self._fqfn, topic, ledger, attempt)
            producer = self._create(output, name)
            last = producer.last_sequence_id()
            if last < self._sequence or self._has(topic, ledger, last):
                return producer._producer  # noqa: SLF001 - as in the base class
            self._logger.warning("the producer name %s was used on %s with other sequence ids: %d", name, output, last)
            producer.close()
        raise pulsar.ProducerBusy(f"every name for a producer of {topic} on {output} was used with other sequence ids")

    def _create(self, output: str, name: str) -> Any:
        """Make a producer as soon as nobody else has its name.

        Partitions change hands: an instance that waits for another's lets go of its own, or two would wait for each other.
        """
        ends = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                return self._client.create_producer(
                    output,
                    producer_name=name,
                    schema=self._schema,
                    compression_type=self._sink_compression,
                    **{**self._options, "batching_enabled": False},
                )
            except pulsar.ProducerBusy:
                self._let_others_go()
                if self._hurried.wait(_BUSY_PAUSE):
                    raise
                if time.monotonic() > ends:
                    self.blocked = f"another instance has the producer {name} for {_BUSY_SECONDS:g} s"
                    raise

    def _has(self, topic: str, ledger: int, sequence: int) -> bool:
        """Tell whether a topic has the message that a sequence id stands for: no other can have been sent by this scheme."""
        entry, index = place_of(sequence)
        start = pulsar.MessageId(-1, ledger, entry, index)
        reader = self._client.create_reader(topic, start, start_message_id_inclusive=True)
        try:
            return bool(reader.has_message_available())
        finally:
            reader.close()

    # Producers come and go with the inputs.

    def due(self) -> float | None:
        """Return after how many seconds `tidy` has something to do, None for never."""
        return max(self._look_again - time.monotonic(), 0.0) if self._outlets else None

    def tidy(self) -> None:
        """Close the producers of inputs from which nothing has come for a while, once what they sent is confirmed."""
        now = time.monotonic()
        if now < self._look_again:
            return
        self._look_again = now + _IDLE_SECONDS / 2
        for origin, outlet in tuple(self._outlets.items()):
            if outlet.fresh:
                outlet.fresh, outlet.used = False, now
            elif now - outlet.used >= _IDLE_SECONDS:
                self._let_go(origin)

    def _let_others_go(self) -> None:
        """Close the producers of all other inputs; what the round at hand sent by them is confirmed before."""
        for origin, outlet in tuple(self._outlets.items()):
            if origin == self._origin:
                continue
            keys = [(output, origin) for output in outlet.producers]
            if all(self._flushed(key) for key in keys):
                self._let_go(origin)

    def _flushed(self, key: Hashable) -> bool:
        """Have what was sent by a producer in this round confirmed; of one where that fails the round itself will tell."""
        if key not in self._unflushed:
            return True
        answers = self._answers = queue.SimpleQueue()
        self._unflushed[key].flush_async(answers.put)
        if self._hurried.is_set() or answers.get() != pulsar.Result.Ok:
            return False
        del self._unflushed[key]
        return True

    def _let_go(self, origin: tuple[str, int]) -> None:
        outlet = self._outlets.pop(origin)
        if origin == self._origin:
            self._origin = ("", -1)
        for producer in outlet.producers.values():
            _close_when_confirmed(producer)

    def hurry(self) -> None:
        """Wait for nothing any longer: the instance stops."""
        self._hurried.set()
        self._answers.put(None)

    def close(self) -> None:
        """Close the producers."""
        for outlet in self._outlets.values():
            for producer in outlet.producers.values():
                with contextlib.suppress(pulsar.PulsarException):
                    producer.close()
        self._outlets.clear()
        super().close()


def _close_when_confirmed(producer: Any) -> None:
    producer.flush_async(lambda _: producer.close_async(lambda _: None))
