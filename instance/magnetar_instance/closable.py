"""A client that any thread may close under whoever uses it.

Closed while it makes a consumer or a producer, the official client forgets who waits for that: the call never returns
(tried: one of fourteen). And closed twice at a time it may lose count of what it closes, and never come to an end. So here
closing wakes whoever waits, is done by one thread at a time, and has an end.
"""

import threading
from collections.abc import Callable
from typing import Any

import _pulsar
import pulsar

_CLOSE_SECONDS = 10.0
"""So long the broker is waited for when consumers and producers are closed; then the connection is dropped instead."""
_WAITED_FOR = {
    "create_producer": "create_producer_async",
    "create_reader": "create_reader_async",
    "get_topic_partitions": "get_topic_partitions_async",
    "subscribe": "subscribe_async",
    "subscribe_pattern": "subscribe_async_pattern",
    "subscribe_topics": "subscribe_async_topics",
}
"""What waits for the broker, and the call that answers instead; older clients lack some, and those only wait."""


class _Answer:
    """What a call came to, once it has."""

    def __init__(self) -> None:
        self.result = pulsar.Result.AlreadyClosed
        self.value: Any = None
        self.came = threading.Event()
        """Set as well when the client was closed: then it never comes."""

    def take(self, result: pulsar.Result, value: Any) -> None:
        """Take what the client says, on its thread; nobody waits for what comes after the end."""
        if not self.came.is_set():
            self.result, self.value = result, value
            self.came.set()

    def wait(self) -> Any:
        """Return what was made. Raises PulsarException.

        A reader keeps the call that it answered for as long as it lives, and must not be kept by it in turn.
        """
        self.came.wait()
        if self.result != pulsar.Result.Ok:
            raise exception_of(self.result)
        value, self.value = self.value, None
        return value


class ClosableCalls:
    """Stands for the client's own object inside `pulsar.Client`; what is not here is the client's own."""

    def __init__(self, own: Any) -> None:
        self._own = own
        self._closing = threading.Lock()
        self._lock = threading.Lock()
        self._waiting: set[_Answer] = set()
        self._closed = False

    def __getattr__(self, name: str) -> Any:
        """Return one of the client's own calls, or what waits for it until the client is closed."""
        start = getattr(self._own, _WAITED_FOR.get(name, ""), None)
        if start is None:
            return getattr(self._own, name)
        return lambda *arguments: self._call(start, arguments)

    def _call(self, start: Callable[..., None], arguments: tuple[object, ...]) -> Any:
        answer = self._expect()
        try:
            start(*arguments, answer.take)
            return answer.wait()
        finally:
            with self._lock:
                self._waiting.discard(answer)

    def _expect(self) -> _Answer:
        with self._lock:
            if self._closed:
                raise exception_of(pulsar.Result.AlreadyClosed)
            answer = _Answer()
            self._waiting.add(answer)
            return answer

    def close(self) -> None:
        """Close everything; who comes second waits for the first. Whoever still waits then is told AlreadyClosed."""
        with self._closing:
            if self._closed:
                return
            answer = self._expect()
            self._own.close_async(lambda result: answer.take(result, None))
            if not answer.came.wait(_CLOSE_SECONDS):
                self._own.shutdown()
            self._end()

    def shutdown(self) -> None:
        """Close without a word to the broker."""
        self._own.shutdown()
        self._end()

    def _end(self) -> None:
        with self._lock:
            self._closed = True
            waiting = set(self._waiting)
        for each in waiting:
            each.came.set()


def closable(client: pulsar.Client) -> pulsar.Client:
    """Return a client that may be closed from any thread, whatever others do with it."""
    client._client = ClosableCalls(client._client)  # noqa: SLF001 - all that the wrapper does goes through it
    return client


def exception_of(result: pulsar.Result) -> pulsar.PulsarException:
    """Return what the client raises for a result."""
    made: pulsar.PulsarException = getattr(_pulsar, result.name, pulsar.PulsarException)(f"Pulsar error: {result.name}")
    return made
