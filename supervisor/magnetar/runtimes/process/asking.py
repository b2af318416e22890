"""Hearing of an instance that tells nothing itself: it is asked for its status, then for its health and its progress."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import anyio
from magnetar_instance.proto.control import FunctionStatus

from magnetar.jitter import sooner
from magnetar.processes.child import Child
from magnetar.runtimes.base import Notice, Progress, Pulse, Ready
from magnetar.runtimes.process.link import SupervisorLink
from magnetar.runtimes.process.stub import InstanceStub
from magnetar.tasks import unless

_AGAIN = 0.5
"""Seconds until an instance that answered, but not that it runs, is asked again."""
_LOOK_AGAIN, _LOOK_LONGEST = 0.1, 20.0
"""Seconds until a log is looked into again for the line that tells readiness, and until that is given up."""


class Voice(Protocol):
    """Where an instance's notices come from: its socket, or the answers to what it is asked."""

    def notices(self) -> AsyncIterator[Notice]:
        """Yield what is told, until the instance has ended."""


class Asking:
    """Asks one instance until it ends: ready at its first good status, then a health check every `interval` seconds.

    Where `subscribed` is given, ready also waits until it is true. The checks are also what the instance's watchdog waits
    for; up to a tenth of the interval earlier each, so that many instances are not asked at once. With each it is asked how
    far it is, too: Java and Go answer in other threads than the function's.
    """

    def __init__(
        self, child: Child, stub: InstanceStub, interval: float, subscribed: Callable[[], bool] = lambda: True
    ) -> None:
        self._child = child
        self._stub = stub
        self._interval = interval
        self._subscribed = subscribed

    async def notices(self) -> AsyncIterator[Notice]:
        """Yield readiness, pulses and progress until the process has ended."""
        while self._child.alive:
            if await unless(self._child.wait, self._ready):
                await unless(self._child.wait, self._seen_subscribed)
                if self._child.alive:
                    yield Ready()
                break
            await self._pause(_AGAIN)
        while self._child.alive:
            # The timer `health checks`.
            await self._pause(sooner(self._interval))
            for notice in await unless(self._child.wait, self._news) or ():
                yield notice

    async def _pause(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self._child.wait()

    async def _ready(self) -> bool:
        """Ask for the status; the call waits for the port to be served, so that it is not asked again and again."""
        try:
            return (await self._stub.first_status()).running
        except ConnectionError:
            return False

    async def _seen_subscribed(self) -> None:
        """Wait for what tells the subscription; whoever configures its logs away is ready after a while all the same."""
        with anyio.move_on_after(_LOOK_LONGEST):
            while not self._subscribed():
                await self._pause(_LOOK_AGAIN)

    async def _news(self) -> Sequence[Notice]:
        try:
            await self._stub.health_check()
            return Pulse(), progress_of(await self._stub.status())
        except ConnectionError as error:
            return (Pulse(str(error)),)


def progress_of(status: FunctionStatus) -> Progress:
    """Return how far an instance is: what failed is finished, too."""
    failed = status.numUserExceptions + status.numSystemExceptions
    return Progress(status.numReceived, status.numSuccessfullyProcessed + failed)


class Resumed:
    """An instance of ours that another worker started: whether it is subscribed was told to that one, so it is asked."""

    def __init__(self, child: Child, stub: InstanceStub, link: SupervisorLink) -> None:
        self._child = child
        self._stub = stub
        self._link = link

    async def notices(self) -> AsyncIterator[Notice]:
        """Yield readiness, where that was told before, and what it says from now on."""
        if await unless(self._child.wait, self._serving):
            self._link.watch()
            yield Ready()
        async for notice in self._link.notices():
            yield notice

    async def _serving(self) -> bool:
        try:
            return await self._stub.serving(wait_for_ready=True)
        except ConnectionError:
            return False
