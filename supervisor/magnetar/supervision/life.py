"""One start of an instance, watched to its end."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import anyio
from structlog.stdlib import BoundLogger

from magnetar.lifecycle import Event, Phase
from magnetar.runtimes.base import BootFailed, Exit, Notice, Prepared, Ready, RunningInstance
from magnetar.supervision.context import SupervisionContext
from magnetar.supervision.record import Record
from magnetar.supervision.successor import Begun
from magnetar.supervision.vigil import Vigil
from magnetar.tasks import unless

_LAST_NOTICES = 1.0
"""Seconds that an ended instance's last words may take to be read; they are in its socket already."""
_STACKS_TIME = 1.0
"""Seconds that a hanging instance has to write its stacks before it is ended."""


class Life:
    """Watches an instance; it ends by itself, or because it has to, or once `until_unwanted` has returned.

    With `leaving` the worker ends: an instance that survives it is let go then.
    """

    def __init__(
        self,
        context: SupervisionContext,
        record: Record,
        logger: BoundLogger,
        *,
        until_unwanted: Callable[[], Awaitable[object]],
        leaving: Callable[[], bool],
        ready: Callable[[], None],
    ) -> None:
        self._context = context
        self._record = record
        self._log = logger
        self._until_unwanted = until_unwanted
        self._leaving = leaving
        self._ready = ready
        self._let_go = anyio.Event()
        self._verdict = ""
        self.was_ready = False
        """Whether the instance was ever subscribed."""
        self.refusal: BootFailed | None = None
        """What the instance told of why no retry will help."""

    async def run(self, begun: Begun) -> Exit | None:
        """Return how the instance ended, None when it was let go."""
        instance = begun.instance
        self._record.started(instance)
        done = "is adopted" if begun.adopted else "was started"
        self._log.info(f"The instance {done}.", runtime=self._record.runtime, pid=instance.pid)
        try:
            ended = await self._watch(begun)
        finally:
            with anyio.CancelScope(shield=True):
                if instance.survives and self._leaving():
                    await instance.let_go()
                else:
                    await instance.stop(self._context.stop_grace)
            self._record.running = None
        if ended is None:
            return None
        return Exit(ended.code, ended.signal, self._verdict, ended.last_lines) if self._verdict else ended

    async def _watch(self, begun: Begun) -> Exit | None:
        instance, silent = begun.instance, anyio.Event()
        vigil = Vigil(instance, self._record, self._context.health, partial(self._end_hanging, instance), self._log)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, begun.notices, vigil, silent, name="notices")
            tasks.start_soon(self._stop_when_unwanted, instance, name="stop when unwanted")
            tasks.start_soon(self._demand_readiness, instance, name="start deadline")
            tasks.start_soon(vigil.keep, name="vigil")
            ended = await unless(self._let_go.wait, instance.wait)
            if ended is not None:
                with anyio.move_on_after(_LAST_NOTICES):
                    await silent.wait()
            tasks.cancel_scope.cancel()
        return ended

    async def _listen(self, notices: AsyncIterator[Notice], vigil: Vigil, silent: anyio.Event) -> None:
        async for notice in notices:
            if isinstance(notice, Ready):
                self.was_ready = True
                self._record.ready()
                self._ready()
            elif isinstance(notice, BootFailed):
                self.refusal = notice
            elif not isinstance(notice, Prepared):
                vigil.note(notice)
        silent.set()

    async def _stop_when_unwanted(self, instance: RunningInstance) -> None:
        await self._until_unwanted()
        if instance.survives and self._leaving():
            self._let_go.set()
            return
        self._record.move(Event.STOP)
        await instance.stop(self._context.stop_grace)

    async def _demand_readiness(self, instance: RunningInstance) -> None:
        await anyio.sleep(self._context.start_timeout)
        if self._record.phase is Phase.STARTING:
            timeout = self._context.start_timeout
            await self._end(instance, f"was not subscribed {timeout:g} s after its start and was ended")

    async def _end_hanging(self, instance: RunningInstance, reason: str) -> None:
        self._verdict = reason
        instance.dump_stacks(is_to_end=True)
        with anyio.move_on_after(_STACKS_TIME):
            await instance.wait()
        await instance.stop(self._context.stop_grace)

    async def _end(self, instance: RunningInstance, reason: str) -> None:
        self._verdict = reason
        await instance.stop(self._context.stop_grace)
