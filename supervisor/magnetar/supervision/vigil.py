"""Noticing that an instance lives and does nothing: unanswered health checks, and messages that wait without progress."""

from collections.abc import Awaitable, Callable

import anyio
from structlog.stdlib import BoundLogger

from magnetar.lifecycle import Event, Phase
from magnetar.policy.health import HealthPolicy
from magnetar.runtimes.base import Progress, Pulse, RunningInstance
from magnetar.supervision.record import Record


class Vigil:
    """Minds one running instance; `end` is called with the reason when it has hung for too long.

    It waits for what the instance tells and for nothing else: while nothing is amiss no timer runs.
    """

    def __init__(
        self,
        instance: RunningInstance,
        record: Record,
        policy: HealthPolicy,
        end: Callable[[str], Awaitable[None]],
        logger: BoundLogger,
    ) -> None:
        self._instance = instance
        self._record = record
        self._policy = policy
        self._end = end
        self._log = logger
        self._pulse = Pulse()
        self._progress = Progress(0, 0)
        self._news = anyio.Event()

    def note(self, notice: Progress | Pulse) -> None:
        """Take what the instance told, or why it did not answer."""
        if isinstance(notice, Pulse):
            self._pulse = notice
        else:
            self._progress = notice
        news, self._news = self._news, anyio.Event()
        news.set()

    async def keep(self) -> None:
        """Mind the instance until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._mind_pulse, name="unanswered health checks")
            tasks.start_soon(self._mind_progress, name="messages without progress")

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._news.wait()

    async def _mind_pulse(self) -> None:
        patience = self._policy.patience
        while True:
            await self._until(lambda: bool(self._pulse.problem))
            self._sicken(self._pulse.problem)
            # The timer `hang`.
            with anyio.move_on_after(patience):
                await self._until(lambda: not self._pulse.problem)
                self._recover()
                continue
            await self._give_up(f"answered no health check for {patience:g} s and was ended")

    async def _mind_progress(self) -> None:
        policy = self._policy
        while True:
            await self._until(lambda: self._waiting > 0)
            stuck_at = self._progress.processed
            if await self._progressed(stuck_at, policy.stall_after):
                continue
            self._sicken(f"has finished none of {self._waiting} message(s) for {policy.stall_after:g} s")
            self._instance.dump_stacks()
            rest = None if policy.stall_timeout is None else max(0.0, policy.stall_timeout - policy.stall_after)
            if await self._progressed(stuck_at, rest):
                self._recover()
            else:
                await self._give_up(f"has finished no message for {policy.stall_timeout:g} s and was ended")

    @property
    def _waiting(self) -> int:
        return self._progress.received - self._progress.processed

    async def _progressed(self, stuck_at: int, seconds: float | None) -> bool:
        """Wait so long for a message to be finished."""
        with anyio.move_on_after(seconds):
            await self._until(lambda: self._progress.processed != stuck_at)
        return self._progress.processed != stuck_at

    def _sicken(self, reason: str) -> None:
        if self._record.phase is Phase.RUNNING:
            self._record.move(Event.STALL, reason)

    def _recover(self) -> None:
        if self._record.phase is Phase.UNHEALTHY and not self._pulse.problem:
            self._record.move(Event.RECOVER)

    async def _give_up(self, reason: str) -> None:
        self._log.error("The instance hangs: its stacks are written to its log, and it is ended.", reason=reason)
        await self._end(reason)
