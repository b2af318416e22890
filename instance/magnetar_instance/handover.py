"""Producer names that go from one instance to another.

A broker gives a name to one producer at a time and tells its holder of nobody who asks for it. So who waits for a name
takes a second one, `<name>/waited-for`; who holds the name asks for that one now and then, and lets go when it is taken.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import _pulsar
import pulsar
from pulsar.schema import Schema

_WAITED_FOR = "/waited-for"
_MOST_SECONDS = 1.0
"""So long one who let go of a name leaves it to the one who waits for it."""
_PAUSE = 0.05
_PATIENCE_SECONDS = 1.0


class Names:
    """Asks a broker who has which producer name on a topic. Asking makes a producer that is closed at once."""

    def __init__(self, client: pulsar.Client, schema: Schema, stopping: threading.Event) -> None:
        self._client = client
        self._schema = schema
        self._stopping = stopping
        self._asked: queue.SimpleQueue[pulsar.Result | None] = queue.SimpleQueue()

    def is_taken(self, topic: str, name: str) -> bool:
        """Tell whether somebody has a name; False when the broker does not say at once, and when the instance stops."""
        answers = self._asked = queue.SimpleQueue()
        self._probe(topic, name, answers.put)
        try:
            return not self._stopping.is_set() and answers.get(timeout=_PATIENCE_SECONDS) == pulsar.Result.ProducerBusy
        except queue.Empty:
            return False

    def ask_for_waiting(self, topic: str, name: str, waited_for: Callable[[], None]) -> None:
        """Have `waited_for` called, on the client's thread, if somebody waits for a name."""

        def answered(result: pulsar.Result) -> None:
            if result == pulsar.Result.ProducerBusy:
                waited_for()

        self._probe(topic, name + _WAITED_FOR, answered)

    def leave(self, topic: str, name: str) -> None:
        """Wait, a while, until the one who waits for a name has it."""
        ends = time.monotonic() + _MOST_SECONDS
        while self.is_taken(topic, name + _WAITED_FOR) and time.monotonic() < ends:
            if self._stopping.wait(_PAUSE):
                return

    def _probe(self, topic: str, name: str, answer: Callable[[pulsar.Result], None]) -> None:
        made = _pulsar.ProducerConfiguration()
        made.producer_name(name)
        made.schema(self._schema.schema_info())

        def answered(result: pulsar.Result, producer: Any) -> None:
            if result == pulsar.Result.Ok:
                producer.close_async(lambda _: answer(result))
            else:
                answer(result)

        self._client._client.create_producer_async(topic, made, answered)  # noqa: SLF001 - the wrapper has no such call

    def hurry(self) -> None:
        """Let nobody wait for an answer: the instance stops."""
        self._asked.put(None)


class Mark:
    """Shows the holder of a name that somebody waits for it, while the context is open."""

    def __init__(self, client: pulsar.Client, schema: Schema, topic: str, name: str) -> None:
        self._client = client
        self._schema = schema
        self._topic = topic
        self._name = name + _WAITED_FOR
        self._producer: pulsar.Producer | None = None

    def set(self) -> None:
        """Set the mark, unless it is set; the holder may be asking for it just now, so this is called again and again."""
        if self._producer is None:
            with contextlib.suppress(pulsar.PulsarException):
                self._producer = self._client.create_producer(
                    self._topic, producer_name=self._name, schema=self._schema
                )

    def __enter__(self) -> Self:
        """Show nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take the mark away."""
        if self._producer is not None:
            with contextlib.suppress(pulsar.PulsarException):
                self._producer.close()
