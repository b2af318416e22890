"""Where the official client's blocking calls run: threads of their own, bounded, never anyio's common ones.

There are two lanes. Reads block as long as nothing comes and are ended by closing; were they in one lane with everything
else, enough of them would leave no thread for the close that ends them. A blocked thread was chosen over the client's
listeners and callbacks, because those run Python in the client's own C++ threads, which outlive event loops and must never
meet an interpreter that ends; a thread that waits costs no CPU, and a worker has two of them.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread
import pulsar

from magnetar.pulsar_client.failures import told

T = TypeVar("T")

_CALLS, _READS = 16, 64
_CLOSE_GRACE = 2  # seconds; a broker that answers takes milliseconds


class Lanes:
    """The threads of one client; `closing` are bounded and go on when the caller is cancelled."""

    def __init__(self) -> None:
        self._calls = anyio.CapacityLimiter(_CALLS)
        self._reads = anyio.CapacityLimiter(_READS)

    async def call(self, what: str, function: Callable[[], T]) -> T:
        """Run a call that ends by itself; cancelled, it is left to end alone."""
        with told(what):
            return await anyio.to_thread.run_sync(function, limiter=self._calls, abandon_on_cancel=True)

    async def read(self, what: str, function: Callable[[], T]) -> T:
        """Run a call that may block until something is closed; cancelled, it stays blocked until then."""
        with told(what):
            return await anyio.to_thread.run_sync(function, limiter=self._reads, abandon_on_cancel=True)

    async def make(self, what: str, function: Callable[[], T], dispose: Callable[[T], object]) -> T:
        """Run a call that makes something; when the caller is cancelled meanwhile, what was made is disposed of."""
        handover = _Handover(dispose)
        with told(what):
            try:
                return await anyio.to_thread.run_sync(
                    lambda: handover.give(function()), limiter=self._calls, abandon_on_cancel=True
                )
            except anyio.get_cancelled_exc_class():
                await self.closing(handover.leave)
                raise

    async def closing(self, function: Callable[[], object]) -> None:
        """Close something, shielded from cancellation and within bounds; what is closed already does no harm."""
        with anyio.move_on_after(_CLOSE_GRACE, shield=True):
            await anyio.to_thread.run_sync(_unless_closed, function, limiter=self._calls, abandon_on_cancel=True)

    async def drained(self) -> None:
        """Wait, within bounds and shielded, until no thread is in a call."""
        with anyio.move_on_after(_CLOSE_GRACE, shield=True):
            for lane in (self._calls, self._reads):
                for _ in range(int(lane.total_tokens)):
                    await lane.acquire_on_behalf_of(object())


class _Handover:
    """Gives what a thread made to the task that asked, or disposes of it when the task has left."""

    def __init__(self, dispose: Callable[[T], object]) -> None:
        self._dispose: Callable[..., object] = dispose
        self._lock = threading.Lock()
        self._made: list[object] = []
        self._left = False

    def give(self, made: T) -> T:
        """Hand over, from the thread."""
        with self._lock:
            self._made.append(made)
            left = self._left
        if left:
            self._clear()
        return made

    def leave(self) -> None:
        """Say that nobody waits any more."""
        with self._lock:
            self._left = True
        self._clear()

    def _clear(self) -> None:
        with self._lock:
            made, self._made = self._made, []
        for each in made:
            _unless_closed(lambda each=each: self._dispose(each))  # type: ignore[misc]


def _unless_closed(function: Callable[[], object]) -> None:
    """Close, whatever the state of the connection: what can't be closed now ends with the client."""
    try:
        function()
    except pulsar.PulsarException:
        return
