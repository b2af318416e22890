"""Results that a broker takes once, however often they are sent: EFFECTIVELY_ONCE.

Each ledger of each input topic has a producer of its own on each output partition, whose sequence ids follow from the
input: after a restart the same inputs give the same ids, and the broker's de-duplication drops what it has. Batches are
judged by one id as a whole, and the client gives a batch its lowest: sent again and batched otherwise, what was stored
would be stored twice. So results are sent singly, whatever the config says of batching.
"""

import contextlib
import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pulsar
from pulsar.schema import Schema

from magnetar_instance.entries import Position, position_of
from magnetar_instance.handover import Mark, Names
from magnetar_instance.messages import build
from magnetar_instance.publishing import Apart, Publisher
from magnetar_instance.schemas import Importer
from magnetar_instance.sequences import partition_of, place_of, producer_name, sequence_of
from magnetar_instance.settings import InstanceSettings

_TELL_SECONDS = 15.0
"""So long a producer's name is waited for that another instance has until that is told."""
_BUSY_PAUSE = 0.1
_IDLE_SECONDS = 3.0
"""So long an unused producer is kept."""
_ASK_SECONDS = 1.0
"""So often a producer's name is asked for whether another instance waits for it."""
_ANSWER_SECONDS = 0.05
"""So soon after it was asked the answer is looked at."""
_MOST_NAMES = 10


_Origin = tuple[str, int]
"""A ledger of an input topic."""


@dataclass(frozen=True)
class _Held:
    """A producer, made by the client, and the name by which nobody else can have one on its topic."""

    output: str
    name: str
    producer: Any


@dataclass
class _Outlet:
    """The producers for one ledger of an input topic, by topic or partition to write to."""

    held: dict[str, _Held] = field(default_factory=dict)
    fresh: bool = True
    used: float = 0.0
    wanted: bool = False
    """Set when another instance waits for one of the names."""

    def want(self) -> None:
        """Note, on any thread, that another instance waits for one of the names."""
        self.wanted = True


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
        self._outlets: dict[_Origin, _Outlet] = {}
        self._outlet = _Outlet()
        self._origin = ("", -1)
        self._position = Position(-1, -1)
        self._results = self._sequence = 0
        self._partitions: dict[str, list[str]] = {}
        self._look_again = 0.0
        self._answers_due = math.inf
        self._leaving: set[_Held] = set()
        self._promised: set[tuple[str, str]] = set()
        self.lost = ""
        """Why nothing can be confirmed any more: another instance has the name of a producer that has not sent all."""
        self._hurried = threading.Event()
        self._names = Names(client, schema, self._hurried)
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
        held = self._outlet.held.get(output)
        if held is None:
            held = self._outlet.held[output] = self._open(output)
        producer = held.producer
        self._unflushed[(output, self._origin)] = producer
        if size <= self._sure_size:
            producer.send_async(message, None)
        else:
            self._send_and_wait(producer, message)

    def _outputs_of(self, topic: str) -> list[str]:
        """Return a topic's partitions. Raises the client's exceptions."""
        known = self._partitions.get(topic)
        if known is None:
            known = self._partitions[topic] = self._client.get_topic_partitions(topic)
        return known

    def _partition(self, topic: str, message: Any) -> str:
        known = self._outputs_of(topic)
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

    def _open(self, output: str) -> _Held:
        """Make a producer whose name is used by this scheme alone. Raises the client's exceptions."""
        topic, ledger = self._origin
        for attempt in range(_MOST_NAMES):
            name = producer_name(self._fqfn, topic, ledger, attempt)
            producer = self._create(output, name)
            last = producer.last_sequence_id()
            if last < self._sequence or not self._is_foreign(topic, ledger, last):
                return _Held(output, name, producer._producer)  # noqa: SLF001 - as in the base class
            self._logger.warning("the producer name %s was used on %s with other sequence ids: %d", name, output, last)
            producer.close()
        raise pulsar.ProducerBusy(f"every name for a producer of {topic} on {output} was used with other sequence ids")

    def _create(self, output: str, name: str) -> Any:
        """Make a producer as soon as nobody else has its name. Raises ProducerBusy where that can't be waited for.

        Partitions change hands: an instance that waits for another's lets go of its own, or two would wait for each other.
        """
        if (output, name) in self._promised:
            self._promised.discard((output, name))
            self._names.leave(output, name)
        with contextlib.suppress(pulsar.ProducerBusy):
            return self._created(output, name)
        self.let_all_go()
        tell = time.monotonic() + _TELL_SECONDS
        with Mark(self._client, self._schema, output, name) as mark:
            while not (self.lost or self._hurried.wait(_BUSY_PAUSE)):
                mark.set()
                with contextlib.suppress(pulsar.ProducerBusy):
                    return self._created(output, name)
                if time.monotonic() > tell:
                    tell += 60.0
                    self._failed(f"another instance has the producer {name} on {output}, which this one waits for")
                self.look_for_lost()
        raise pulsar.ProducerBusy(self.lost or f"the instance stops, and another has the producer {name}")

    def _created(self, output: str, name: str) -> Any:
        return self._client.create_producer(
            output,
            producer_name=name,
            schema=self._schema,
            compression_type=self._sink_compression,
            **{**self._options, "batching_enabled": False},
        )

    def _is_foreign(self, topic: str, ledger: int, last: int) -> bool:
        """Tell whether an id stands for no message that an input ever had: this scheme can't have used it.

        What everybody has acknowledged may be deleted, from the beginning: so there must be something before it.
        """
        # Of entries alone: what a broker tells of its last message may lack the place in the batch.
        used, here = (pulsar.MessageId(-1, ledger, entry, -1) for entry in (place_of(last)[0], self._position.entry))
        return not self._has(topic, used) and self._has(topic, here) and not self._has(topic, used)

    def _has(self, topic: str, start: pulsar.MessageId) -> bool:
        """Tell whether a topic has a message there or after it."""
        reader = self._client.create_reader(topic, start, start_message_id_inclusive=True)
        try:
            return bool(reader.has_message_available())
        finally:
            reader.close()

    # Producers come and go with the inputs.

    def may_wait(self) -> bool:
        """Tell whether a result of the message at hand may have to wait for a producer's name."""
        return any(output not in self._outlet.held for output in self._outputs_of(self._sink))

    def due(self) -> float | None:
        """Return after how many seconds `tidy` has something to do, None for never."""
        if not self._leaving and not any(outlet.held for outlet in self._outlets.values()):
            return None
        return max(min(self._look_again, self._answers_due) - time.monotonic(), 0.0)

    def tidy(self) -> None:
        """Close the producers that another instance waits for, or that were not used for a while."""
        now = time.monotonic()
        if now >= self._answers_due:
            self._answers_due = math.inf
            self._let_waited_for_go()
        if now >= self._look_again:
            self._look_again, self._answers_due = now + _ASK_SECONDS, now + _ANSWER_SECONDS
            self._let_idle_go(now)
            self._ask_for_waiting()
            self.look_for_lost()

    def _let_waited_for_go(self) -> None:
        for origin, outlet in self._outlets.items():
            if outlet.wanted:
                self._promised.update((held.output, held.name) for held in outlet.held.values())
                self._let_go(origin, outlet)

    def _let_idle_go(self, now: float) -> None:
        for origin, outlet in tuple(self._outlets.items()):
            if outlet.fresh:
                outlet.fresh, outlet.used = False, now
            elif now - outlet.used >= _IDLE_SECONDS:
                self._let_go(origin, outlet)
                if origin != self._origin and not outlet.held:
                    del self._outlets[origin]

    def _ask_for_waiting(self) -> None:
        for outlet in self._outlets.values():
            for held in outlet.held.values():
                self._names.ask_for_waiting(held.output, held.name, outlet.want)

    def let_all_go(self) -> None:
        """Close all producers once what they sent is confirmed: no other instance is to wait for this one."""
        for origin, outlet in self._outlets.items():
            self._let_go(origin, outlet)

    def _flushed(self, key: tuple[str, _Origin]) -> bool:
        """Have what was sent by a producer in this round confirmed; of one where that fails the round itself will tell."""
        if key not in self._unflushed:
            return True
        answers = self._answers = queue.SimpleQueue()
        self._unflushed[key].flush_async(answers.put)
        while not (self.lost or self._hurried.is_set()):
            try:
                confirmed: bool = answers.get(timeout=_ASK_SECONDS) == pulsar.Result.Ok
            except queue.Empty:
                self.look_for_lost()
                continue
            if confirmed:
                del self._unflushed[key]
            return confirmed
        return False

    def _let_go(self, origin: _Origin, outlet: _Outlet) -> None:
        """Close the producers of an input once what they sent is confirmed."""
        if not all(self._flushed((held.output, origin)) for held in outlet.held.values()):
            return
        for held in outlet.held.values():
            self._leaving.add(held)
            self._close_when_confirmed(held)
        outlet.held.clear()
        outlet.wanted = False

    def _close_when_confirmed(self, held: _Held) -> None:
        def confirmed(_: pulsar.Result) -> None:
            held.producer.close_async(lambda _: self._leaving.discard(held))

        held.producer.flush_async(confirmed)

    def look_for_lost(self) -> None:
        """See whether another instance has taken a name while the broker was away: what was sent then is never confirmed.

        Its inputs come again, here or there.
        """
        if self.lost:
            return
        held = [*self._leaving, *(each for outlet in self._outlets.values() for each in outlet.held.values())]
        for each in held:
            if each.producer.is_connected() or not self._names.is_taken(each.output, each.name):
                continue
            if not each.producer.is_connected():
                self.lost = f"another instance has taken the producer {each.name} on {each.output}"
                return

    def hurry(self) -> None:
        """Wait for nothing any longer: the instance stops."""
        self._hurried.set()
        self._answers.put(None)
        self._names.hurry()

    def close(self) -> None:
        """Close the producers."""
        for outlet in self._outlets.values():
            for held in outlet.held.values():
                with contextlib.suppress(pulsar.PulsarException):
                    held.producer.close()
        self._outlets.clear()
        super().close()
