"""One start of an instance, watched to its end."""

from functools import partial

import anyio
from structlog.stdlib import BoundLogger

from magnetar.lifecycle import Event, Phase
from magnetar.runtimes.base import BootFailed, Exit, InstanceSpec, Ready, RunningInstance, Runtime
from magnetar.supervision.context import SupervisionContext
from magnetar.supervision.record import Record
from magnetar.supervision.vigil import Vigil

_LAST_NOTICES = 1.0
"""Seconds that an ended instance's last words may take to be read; they are in its socket already."""
_STACKS_TIME = 1.0
"""Seconds that a hanging instance has to write its stacks before it is ended."""


class Life:
    """Starts an instance and watches it; it ends by itself, or because `wish` is set, or because it has to."""

    def __init__(
        self,
        context: SupervisionContext,
        record: Record,
        wish: anyio.Event,
        logger: BoundLogger,
    ) -> None:
        self._context = context
        self._record = record
        self._wish = wish
        self._log = logger
        self._verdict = ""
        self.refusal: BootFailed | None = None
        """What the instance told of why no retry will help."""

    async def run(self, runtime: Runtime, spec: InstanceSpec) -> Exit:
        """Start the instance and return how it ended. Raises RuntimeStartError, RefusedError and OSError."""
        async with self._context.starts:
            self._record.move(Event.SPAWN, self._record.reason)
            instance = await runtime.start(spec)
        self._record.started(instance)
        self._log.info("The instance was started.", runtime=runtime.name, pid=instance.pid)
        try:
            ended = await self._watch(instance)
        finally:
            with anyio.CancelScope(shield=True):
                await instance.stop(self._context.stop_grace)
            self._record.running = None
        return Exit(ended.code, ended.signal, self._verdict, ended.last_lines) if self._verdict else ended

    async def _watch(self, instance: RunningInstance) -> Exit:
        silent = anyio.Event()
        vigil = Vigil(instance, self._record, self._context.health, partial(self._end_hanging, instance), self._log)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, instance, vigil, silent, name="notices")
            tasks.start_soon(self._stop_when_wished, instance, name="stop when wished")
            tasks.start_soon(self._demand_readiness, instance, name="start deadline")
            tasks.start_soon(vigil.keep, name="vigil")
            ended = await instance.wait()
            with anyio.move_on_after(_LAST_NOTICES):
                await silent.wait()
            tasks.cancel_scope.cancel()
        return ended

    async def _listen(self, instance: RunningInstance, vigil: Vigil, silent: anyio.Event) -> None:
        async for notice in instance.notices():
            if isinstance(notice, Ready):
                self._record.ready()
                self._log.info("The instance is subscribed and running.", pid=instance.pid)
            elif isinstance(notice, BootFailed):
                self.refusal = notice
            else:
                vigil.note(notice)
        silent.set()

    async def _stop_when_wished(self, instance: RunningInstance) -> None:
        await self._wish.wait()
        self._record.move(Event.STOP)
        await instance.stop(self._context.stop_grace)

    async def _demand_readiness(self, instance: RunningInstance) -> None:
        await anyio.sleep(self._context.start_timeout)
        if self._record.phase is Phase.STARTING:
            timeout = self._context.start_timeout
            await self._end(instance, f"was not subscribed {timeout:g} s after its start and was ended")

    async def _end_hanging(self, instance: RunningInstance, reason: str) -> None:
        self._verdict = reason
        instance.dump_stacks()
        with anyio.move_on_after(_STACKS_TIME):
            await instance.wait()
        await instance.stop(self._context.stop_grace)

    async def _end(self, instance: RunningInstance, reason: str) -> None:
        self._verdict = reason
        await instance.stop(self._context.stop_grace)
