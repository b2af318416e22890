"""The task that keeps one instance as it is desired: fetch, start, watch, wait, start again."""

import random
import time
import uuid
from collections.abc import Callable

import anyio

from magnetar.errors import RefusedError, RequestError
from magnetar.lifecycle import Event, Phase
from magnetar.policy.restart import after_death, after_refusal
from magnetar.runtimes.base import BootFailed, Exit, InstanceSpec, Ready, RunningInstance, Runtime, RuntimeStartError
from magnetar.supervision.base import InstanceView
from magnetar.supervision.context import SupervisionContext
from magnetar.supervision.desired import Desired
from magnetar.supervision.record import Record
from magnetar.tasks import unless

_LAST_NOTICES = 1.0
"""Seconds that an ended instance's last words may take to be read; they are in its socket already."""


class SupervisedInstance:
    """One instance and its task; `desire` and `restart` are what others may do to it."""

    def __init__(self, desired: Desired, context: SupervisionContext, changed: Callable[[], None]) -> None:
        self._desired: Desired | None = desired
        self._last = desired
        self._leaving = False
        self._context = context
        self._log = context.logger.bind(instance=desired.fqiid)
        self._wish = anyio.Event()
        self._begun = anyio.Event()
        self._refusal: BootFailed | None = None
        self._late = ""
        self._fetch_failures = 0
        self.record = Record(desired.fqfn, desired.instance_id, context.worker_id, changed)

    @property
    def desired(self) -> Desired | None:
        """What was desired last; None once the instance is to be removed."""
        return self._desired

    def alive(self) -> RunningInstance:
        """Return the process or thread, or raise ConnectionError with the reason why there is none."""
        running = self.record.running
        if running is None or self.record.phase is Phase.STARTING:
            raise ConnectionError(self.record.reason or f"{self._last.fqiid} is {self.record.phase}")
        return running

    def views(self) -> list[InstanceView]:
        """Return the instance as it is now."""
        return [self.record.view()]

    def desire(self, desired: Desired | None) -> None:
        """Change what is wanted; None removes the instance. A running one that can stay as it is is left alone."""
        before, self._desired = self._desired, desired
        self._last = desired or self._last
        if before is None or desired is None or not desired.runs_the_same_as(before):
            self._wish.set()

    def leave(self) -> None:
        """End the instance because the worker ends: it is wanted elsewhere or later, so nothing of it is cleaned up."""
        self._leaving = True
        self.desire(None)

    async def restart(self) -> None:
        """Stop the instance, if it lives, and start it anew at once; returns when the new start was begun."""
        begun = self._begun
        self._wish.set()
        await begun.wait()

    async def run(self) -> None:
        """Keep the instance as desired until it is to be removed."""
        while (desired := self._desired) is not None:
            self._wish = anyio.Event()
            self.record.forget()
            self._fetch_failures = 0
            if desired.running:
                await self._keep_running(desired)
            else:
                await self._stay_stopped()
        self._begun.set()
        if not self._leaving:
            await self._context.removed(self._last)

    async def _stay_stopped(self) -> None:
        self.record.move(Event.STOP)
        self._tell_begun()
        await self._wish.wait()

    async def _keep_running(self, desired: Desired) -> None:
        while not self._wish.is_set():
            self._tell_begun()
            delay = await self._attempt(desired)
            if not self._wish.is_set():
                await self._wait(delay)

    def _tell_begun(self) -> None:
        begun, self._begun = self._begun, anyio.Event()
        begun.set()

    async def _wait(self, delay: float | None) -> None:
        if delay is None:
            await self._wish.wait()
            return
        self.record.due_in(delay)
        with anyio.move_on_after(delay):
            await self._wish.wait()

    async def _attempt(self, desired: Desired) -> float | None:
        """Run the instance once; returns the seconds until the next start, None when only a new wish can start it."""
        try:
            runtime, spec = await unless(self._wish.wait, lambda: self._prepare(desired)) or (None, None)
            if runtime is None or spec is None:
                return None
            ended = await self._run_once(runtime, spec)
        except RefusedError as refused:
            self._refuse(str(refused))
            return None
        except (RequestError, OSError) as problem:
            return self._try_fetching_later(str(problem))
        except RuntimeStartError as problem:
            ended = Exit(reason=str(problem))
        if self._wish.is_set():
            return None
        if self._refusal is not None:
            self._refuse("\n".join((self._refusal.reason, *self._refusal.traceback)))
            return None
        return self._after_death(ended)

    async def _prepare(self, desired: Desired) -> tuple[Runtime, InstanceSpec]:
        details = desired.metadata.functionDetails
        self.record.runtime = self._context.choose(details)
        if self.record.runtime not in self._context.runtimes:
            raise RefusedError(
                f"the runtime {self.record.runtime} runs functions as a whole; it is about to be moved there"
            )
        package = await self._context.fetch(desired.metadata.packageLocation)
        self._fetch_failures = 0
        spec = InstanceSpec(details, desired.instance_id, package, str(uuid.uuid4()), str(uuid.uuid4()))
        return self._context.runtimes[self.record.runtime], spec

    async def _run_once(self, runtime: Runtime, spec: InstanceSpec) -> Exit:
        self._refusal, self._late = None, ""
        async with self._context.starts:
            self.record.move(Event.SPAWN, self.record.reason)
            instance = await runtime.start(spec)
        self.record.started(instance)
        self._log.info("The instance was started.", runtime=runtime.name, pid=instance.pid)
        try:
            ended = await self._watch(instance)
        finally:
            with anyio.CancelScope(shield=True):
                await instance.stop(self._context.stop_grace)
            self.record.running = None
            if self.record.phase is Phase.STOPPING:
                self.record.move(Event.END)
        return Exit(reason=self._late) if self._late else ended

    async def _watch(self, instance: RunningInstance) -> Exit:
        silent = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, instance, silent, name="notices")
            tasks.start_soon(self._stop_when_wished, instance, name="stop when wished")
            tasks.start_soon(self._demand_readiness, instance, name="start deadline")
            ended = await instance.wait()
            with anyio.move_on_after(_LAST_NOTICES):
                await silent.wait()
            tasks.cancel_scope.cancel()
        return ended

    async def _listen(self, instance: RunningInstance, silent: anyio.Event) -> None:
        async for notice in instance.notices():
            if isinstance(notice, Ready):
                self.record.ready()
                self._log.info("The instance is subscribed and running.", pid=instance.pid)
            elif isinstance(notice, BootFailed):
                self._refusal = notice
        silent.set()

    async def _stop_when_wished(self, instance: RunningInstance) -> None:
        await self._wish.wait()
        self.record.move(Event.STOP)
        await instance.stop(self._context.stop_grace)

    async def _demand_readiness(self, instance: RunningInstance) -> None:
        await anyio.sleep(self._context.start_timeout)
        if self.record.phase is Phase.STARTING:
            self._late = f"was not subscribed {self._context.start_timeout:g} s after its start and was ended"
            await instance.stop(self._context.stop_grace)

    def _refuse(self, reason: str) -> None:
        self.record.move(Event.REFUSE, reason)
        self._log.error("The instance can't run until it is updated or restarted.", reason=reason)

    def _try_fetching_later(self, reason: str) -> float:
        self.record.reason = f"its package could not be had, and is asked for again: {reason}"
        self._log.warning("The package could not be had.", reason=reason)
        self._fetch_failures += 1
        return after_refusal(self._context.policy, self._fetch_failures, chance=random.random())  # noqa: S311

    def _after_death(self, ended: Exit) -> float:
        decision = after_death(
            self._context.policy,
            self.record.history,
            now=time.monotonic(),
            healthy_for=self.record.healthy_for(),
            chance=random.random(),  # noqa: S311
        )
        self.record.history = decision.history
        self.record.restarts += 1
        reason = "\n".join((ended.describe(), *ended.last_lines))
        self.record.move(Event.LOOP if decision.looping else Event.END, reason)
        self._log.warning("The instance ended and is started again.", reason=reason, delay=round(decision.delay, 3))
        return decision.delay
