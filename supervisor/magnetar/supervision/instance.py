"""The task that keeps one instance as it is desired: fetch, start, watch, wait, start again."""

import random
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import anyio
from magnetar_instance.proto.function import FunctionDetails

from magnetar.errors import RefusedError, RequestError
from magnetar.lifecycle import Event, Phase
from magnetar.model.runtime_options import parse_options
from magnetar.policy.restart import RestartMode, after_death, after_refusal, starts_again
from magnetar.runtimes.base import Exit, InstanceSpec, RunningInstance, Runtime, RuntimeStartError
from magnetar.runtimes.choice import language_of
from magnetar.supervision.base import InstanceView
from magnetar.supervision.context import SupervisionContext
from magnetar.supervision.desired import Desired
from magnetar.supervision.events import InstanceEvent
from magnetar.supervision.life import Life
from magnetar.supervision.record import Record
from magnetar.tasks import unless


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
        self._restart: RestartMode = "always"
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

    def events(self, since: int = 0) -> list[InstanceEvent]:
        """Return its last events."""
        return self.record.events.since(since)

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
        life = Life(self._context, self.record, self._wish, self._log)
        try:
            prepared = await unless(self._wish.wait, lambda: self._prepare(desired))
            if prepared is None:
                return None
            ended = await life.run(*prepared)
        except RefusedError as refused:
            self._refuse(str(refused))
            return None
        except (RequestError, OSError) as problem:
            return self._try_fetching_later(str(problem))
        except RuntimeStartError as problem:
            ended = Exit(reason=str(problem))
        if self._wish.is_set():
            self._note_stopped()
            return None
        if life.refusal is not None:
            self._refuse("\n".join((life.refusal.reason, *life.refusal.traceback)))
            return None
        return self._after_end(desired, ended)

    def _note_stopped(self) -> None:
        """Note the end of an instance that was wished to end, also where it ended a moment before it was asked to."""
        if self.record.phase.alive:
            self.record.move(Event.STOP)
        if self.record.phase is Phase.STOPPING:
            self.record.move(Event.END)

    async def _prepare(self, desired: Desired) -> tuple[Runtime, InstanceSpec]:
        details = desired.metadata.functionDetails
        self._restart = parse_options(details.customRuntimeOptions).restart or "always"
        self.record.runtime = self._context.choose(details)
        package = await self._context.fetch(desired.metadata.packageLocation)
        environment = await self._environment(details, package)
        self._fetch_failures = 0
        ids = str(uuid.uuid4()), str(uuid.uuid4())
        spec = InstanceSpec(details, desired.instance_id, package, *ids, environment)
        return self._context.runtimes[self.record.runtime], spec

    async def _environment(self, details: FunctionDetails, package: Path) -> Path | None:
        """Return what a process is given to import from; while it is installed, that is what the instance waits for."""
        if self.record.runtime != "process":
            return None
        before = self.record.reason
        found = await self._context.environment(details, package, self.record.explain)
        self.record.reason = before
        return found

    def _refuse(self, reason: str) -> None:
        self.record.move(Event.REFUSE, reason)
        self._log.error("The instance can't run until it is updated or restarted.", reason=reason)

    def _try_fetching_later(self, reason: str) -> float:
        self.record.explain(f"its package could not be had, and is asked for again: {reason}")
        self._log.warning("The package could not be had.", reason=reason)
        self._fetch_failures += 1
        return after_refusal(self._context.policy, self._fetch_failures, chance=random.random())  # noqa: S311

    def _after_end(self, desired: Desired, ended: Exit) -> float | None:
        reason = "\n".join((ended.describe(), *ended.last_lines))
        failed = (
            ended.failed or language_of(desired.metadata.functionDetails) == "JAVA"
        )  # which exits with 0 at failures
        if not starts_again(self._restart, failed=failed):
            self.record.move(
                Event.REFUSE if failed else Event.FINISH, f"{reason}\nnot started again: its restart is {self._restart}"
            )
            self._log.warning("The instance ended and is not started again.", reason=reason, restart=self._restart)
            return None
        return self._after_death(reason)

    def _after_death(self, reason: str) -> float:
        decision = after_death(
            self._context.policy,
            self.record.history,
            now=time.monotonic(),
            healthy_for=self.record.healthy_for(),
            chance=random.random(),  # noqa: S311
        )
        self.record.history = decision.history
        self.record.restarts += 1
        self.record.move(Event.LOOP if decision.looping else Event.END, reason)
        self._log.warning("The instance ended and is started again.", reason=reason, delay=round(decision.delay, 3))
        return decision.delay
