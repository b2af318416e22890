"""The task that keeps one instance as it is desired: fetch, start, watch, wait, start again, replace."""

import random
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import anyio
from magnetar_instance.proto.function import FunctionMetaData

from magnetar.errors import RefusedError, RequestError
from magnetar.lifecycle import Event, Phase
from magnetar.model.runtime_options import parse_options
from magnetar.policy.restart import RestartMode, RestartPolicy, after_death, after_refusal, starts_again
from magnetar.runtimes.base import Exit, InstanceSpec, RunningInstance, Runtime, RuntimeStartError, Survivor
from magnetar.runtimes.choice import language_of
from magnetar.supervision.base import InstanceView
from magnetar.supervision.context import SupervisionContext
from magnetar.supervision.desired import Desired
from magnetar.supervision.events import InstanceEvent, log_event
from magnetar.supervision.life import Life
from magnetar.supervision.record import Record
from magnetar.supervision.successor import Begun, prepared
from magnetar.tasks import unless

_OLD_GOES_ON = "the version before runs on"
_TRIES = 3
"""So often an update may end before it is ready until the version before runs again: its end may have had other causes."""


class SupervisedInstance:
    """One instance and its task; `desire` and `restart` are what others may do to it.

    An update of a living instance leaves it alone until its successor is prepared. A version that never gets ready is
    rejected: the one before runs until another is desired, or a restart asks for it again.
    """

    def __init__(self, desired: Desired, context: SupervisionContext, changed: Callable[[], None]) -> None:
        self._desired: Desired | None = desired
        self._last = desired
        self._leaving = False
        self._context = context
        self._log = context.logger.bind(instance=desired.fqiid)
        self._turn = context.rollouts.of(desired.fqfn)
        self._wish = anyio.Event()
        self._begun = anyio.Event()
        self._restarting = False
        self._fetch_failures = 0
        self._survivor: Survivor | None = None
        self._successor: Begun | None = None
        self._replacing = False
        self._runs = ""
        """The fingerprint of the version that runs, or is about to."""
        self._proven: Desired | None = None
        """The version that was ready last."""
        self._rejected = ""
        told = partial(log_event, self._log)
        self.record = Record(desired.fqfn, desired.instance_id, context.worker_id, changed, told)

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
        """End the instance, or let it go, because the worker ends: it is wanted elsewhere or later, and not removed."""
        self._leaving = True
        self.desire(None)

    async def restart(self) -> None:
        """Stop the instance, if it lives, and start it anew at once; returns when the new start was begun."""
        begun, self._restarting = self._begun, True
        self._wish.set()
        await begun.wait()

    async def run(self) -> None:
        """Keep the instance as desired until it is to be removed."""
        self._survivor = await self._context.survivor(self._last.fqiid)
        try:
            while (desired := self._desired) is not None:
                await self._begin_anew()
                if desired.running:
                    await self._keep_running()
                else:
                    await self._stay_stopped()
        finally:
            await self._end_others()
            self._turn.end()
        self._begun.set()
        if not self._leaving:
            await self._context.removed(self._last)

    async def _begin_anew(self) -> None:
        self._wish = anyio.Event()
        if self._successor is not None:
            await self._end_others()
        self._turn.end()
        if self._restarting:
            self._restarting, self._rejected = False, ""
            self._turn.forgive()
        self.record.forget()
        self._fetch_failures = 0

    async def _stay_stopped(self) -> None:
        await self._end_others()
        self._proven = None
        self.record.move(Event.STOP)
        self._tell_begun()
        await self._wish.wait()

    async def _end_others(self) -> None:
        """End what was never taken up: a successor, and what another worker left, which may be let go as well."""
        survivor, self._survivor = self._survivor, None
        successor, self._successor = self._successor, None
        with anyio.CancelScope(shield=True):
            if successor is not None:
                await successor.instance.stop(self._context.stop_grace)
            if survivor is not None and self._leaving:
                await survivor.instance.let_go()
            elif survivor is not None:
                await survivor.instance.stop(self._context.stop_grace)

    async def _keep_running(self) -> None:
        while not self._wish.is_set():
            self._tell_begun()
            delay = await self._attempt()
            if delay != 0 and not self._wish.is_set():
                await self._wait(delay)

    def _tell_begun(self) -> None:
        begun, self._begun = self._begun, anyio.Event()
        begun.set()

    async def _wait(self, delay: float | None) -> None:
        if delay is None:
            self._turn.end()
            await self._wish.wait()
            return
        self.record.due_in(delay)
        with anyio.move_on_after(delay):
            await self._wish.wait()

    async def _attempt(self) -> float | None:
        """Run the instance once; returns the seconds until the next start, None when only a new wish can start it."""
        version = self._version()
        life = self._life(version)
        try:
            begun = await self._begin(version)
            if begun is None:
                return None
            ended = await life.run(begun)
        except RefusedError as refused:
            return self._refuse(version, life, str(refused))
        except (RequestError, OSError) as problem:
            return self._try_fetching_later(str(problem))
        except RuntimeStartError as problem:
            ended = Exit(reason=str(problem))
        if ended is None:
            return None
        return self._after(version, life, ended)

    def _version(self) -> Desired:
        """Return what is to run: what is desired, or the version before where that was rejected."""
        desired = self._desired or self._last
        if self._proven is not None and desired.fingerprint == self._rejected:
            return self._proven
        return desired

    def _life(self, version: Desired) -> Life:
        return Life(
            self._context,
            self.record,
            self._log,
            until_unwanted=self._until_unwanted,
            leaving=lambda: self._leaving,
            ready=lambda: self._prove(version),
        )

    def _prove(self, version: Desired) -> None:
        """Note that a version got ready; it is what a failed update comes back to."""
        if version.fingerprint == self._runs:
            self._proven = version
        self._failed_tries = 0
        self._turn.end()

    async def _begin(self, version: Desired) -> Begun | None:
        """Begin an instance, or take up one that was begun; None when something else is wished meanwhile."""
        survivor, self._survivor = self._survivor, None
        if survivor is not None:
            self.record.runtime = survivor.runtime
            self._runs = survivor.fingerprint
            self.record.move(Event.ADOPT)
            return Begun(survivor.instance, survivor.instance.notices(), adopted=True)
        self._runs = version.fingerprint
        successor, self._successor = self._successor, None
        if successor is not None:
            self.record.move(Event.SPAWN, self.record.reason)
            successor.instance.subscribe()
            return successor
        found = await unless(self._wish.wait, lambda: self._find(version))
        if found is None:
            return None
        runtime, spec = found
        async with self._context.starts:
            self.record.runtime = runtime.name
            self.record.move(Event.SPAWN, self.record.reason)
            instance = await runtime.start(spec)
        return Begun(instance, instance.notices())

    async def _find(self, version: Desired) -> tuple[Runtime, InstanceSpec]:
        details = version.metadata.functionDetails
        parse_options(details.customRuntimeOptions)
        runtime = self._context.runtimes[self._context.choose(details)]
        package = await self._context.fetch(version.metadata.packageLocation)
        environment = await self._environment(version.metadata, package) if runtime.name == "process" else None
        self._fetch_failures = 0
        ids = str(uuid.uuid4()), str(uuid.uuid4())
        auth = version.function.auth
        return runtime, InstanceSpec(
            details, version.instance_id, package, *ids, environment, version.fingerprint, auth
        )

    async def _environment(self, function: FunctionMetaData, package: Path) -> Path | None:
        """Return what a process is given to import from; while it is installed, that is what the instance waits for."""
        if self.record.running is not None:
            found = await self._context.environment(function, package, self.record.remark)
            self.record.remark("")
            return found
        before = self.record.reason
        found = await self._context.environment(function, package, self.record.explain)
        self.record.reason = before
        return found

    # While it lives.

    async def _until_unwanted(self) -> None:
        """Return when the living instance is to end: unwanted, or with a successor that waits for that."""
        while self._stays():
            self._wish = anyio.Event()
            if self._outdated():
                if await unless(self._wish.wait, self._replace):
                    return
            else:
                self._take_back()
            await self._wish.wait()

    def _stays(self) -> bool:
        return self._desired is not None and self._desired.running and not self._restarting

    def _outdated(self) -> bool:
        desired = self._desired or self._last
        return desired.fingerprint not in {self._runs, self._rejected}

    def _take_back(self) -> None:
        """Forget an update that was rejected, when what runs is what is desired again."""
        if self._desired is not None and self._desired.fingerprint == self._runs:
            self._rejected = ""
            self.record.remark("")

    async def _replace(self) -> bool:
        """Make an update ready to take over; False when it was rejected, and what runs is to run on."""
        wanted = self._desired or self._last
        failures, done = 0, False
        try:
            await self._turn.take()
            while not done:
                if halted := self._turn.halted(wanted.fingerprint):
                    self._reject(wanted, f"it was not tried, for it failed with another instance: {halted}")
                    return False
                try:
                    await self._prepare(wanted)
                    done = True
                except RefusedError as refused:
                    self._reject(wanted, str(refused))
                    return False
                except (RequestError, OSError, RuntimeStartError) as problem:
                    failures += 1
                    self.record.remark(f"an update is tried again soon, and {_OLD_GOES_ON}: {problem}")
                    await anyio.sleep(after_refusal(self._context.policy, failures, chance=random.random()))  # noqa: S311
        finally:
            if not done:
                self._turn.end()
        self._replacing = True
        return True

    async def _prepare(self, wanted: Desired) -> None:
        """Prepare the successor; where those of its kind can't wait, its package is on this host at least."""
        runtime, spec = await self._find(wanted)
        self._successor = await prepared(self._context, runtime, spec)

    def _reject(self, version: Desired, reason: str) -> None:
        self._rejected = version.fingerprint
        self._turn.halt(version.fingerprint, reason.partition("\n")[0])
        self._turn.end()
        self.record.remark(f"the update could not be made, and {_OLD_GOES_ON}: {reason}")
        self._log.error("The update could not be made; the version before runs on.", reason=reason)

    # After its end.

    def _after(self, version: Desired, life: Life, ended: Exit) -> float | None:
        replacing, self._replacing = self._replacing, False
        if self._wish.is_set() or replacing:
            self._note_stopped()
            if not replacing or self._wish.is_set():
                return None
            self.record.forget()
            return 0
        if life.refusal is not None:
            return self._refuse(version, life, "\n".join((life.refusal.reason, *life.refusal.traceback)))
        if self._may_come_back(version, life) and not self._is_tried_again(version, ended):
            return self._come_back(version, "\n".join((ended.describe(), *ended.last_lines)))
        return self._after_end(version, ended)

    def _is_tried_again(self, version: Desired, ended: Exit) -> bool:
        """Whether an update that ended before it was ready is started once more, as its restart policy allows."""
        self._failed_tries += 1
        most = self._policy(version).max_restarts
        tries = _TRIES if most is None else min(_TRIES, most + 1)
        return self._failed_tries < tries and not ended.reason and self._starts_again(version, ended)

    def _note_stopped(self) -> None:
        """Note the end of an instance that was wished to end, also where it ended a moment before it was asked to."""
        if self.record.phase.alive:
            self.record.move(Event.STOP)
        if self.record.phase is Phase.STOPPING:
            self.record.move(Event.END)

    def _may_come_back(self, version: Desired, life: Life) -> bool:
        """Whether this was an update that never got ready, and there is a version to come back to."""
        return not life.was_ready and self._proven is not None and self._proven.fingerprint != version.fingerprint

    def _come_back(self, version: Desired, reason: str) -> float:
        self._failed_tries = 0
        if self.record.phase.alive:
            self.record.move(Event.END, reason)
        self._reject(version, reason)
        return 0

    def _refuse(self, version: Desired, life: Life, reason: str) -> float | None:
        if self._may_come_back(version, life):
            return self._come_back(version, reason)
        self.record.move(Event.REFUSE, reason)
        return None

    def _try_fetching_later(self, reason: str) -> float:
        self.record.explain(f"its package could not be had, and is asked for again: {reason}")
        self._log.warning("The package could not be had.", reason=reason)
        self._fetch_failures += 1
        return after_refusal(self._context.policy, self._fetch_failures, chance=random.random())  # noqa: S311

    def _after_end(self, version: Desired, ended: Exit) -> float | None:
        reason = "\n".join((ended.describe(), *ended.last_lines))
        if not self._starts_again(version, ended):
            mode, event = _restart_mode(version), Event.REFUSE if _failed(version, ended) else Event.FINISH
            self.record.move(event, f"{reason}\nnot started again: its restart is {mode}")
            return None
        return self._after_death(self._policy(version), reason)

    def _starts_again(self, version: Desired, ended: Exit) -> bool:
        return starts_again(_restart_mode(version), failed=_failed(version, ended))

    def _policy(self, version: Desired) -> RestartPolicy:
        options = parse_options(version.metadata.functionDetails.customRuntimeOptions)
        limits = options.restart_limits.model_dump(exclude_none=True) if options.restart_limits else {}
        return replace(self._context.policy, **limits)

    def _after_death(self, policy: RestartPolicy, reason: str) -> float | None:
        decision = after_death(
            policy,
            self.record.history,
            now=time.monotonic(),
            healthy_for=self.record.healthy_for(),
            chance=random.random(),  # noqa: S311
        )
        self.record.history = decision.history
        if decision.exhausted:
            self.record.move(Event.REFUSE, f"{reason}\nnot started again after {policy.max_restarts} restarts in a row")
            return None
        self.record.restarts += 1
        if decision.looping:
            reason += f"\nit is crash-looping: {policy.intensity} deaths within {policy.period:g} s"
        self.record.move(Event.LOOP if decision.looping else Event.END, reason)
        self._log.info("The instance is started again.", delay=round(decision.delay, 3))
        return decision.delay


def _restart_mode(version: Desired) -> RestartMode:
    return parse_options(version.metadata.functionDetails.customRuntimeOptions).restart or "always"


def _failed(version: Desired, ended: Exit) -> bool:
    # Java exits with 0 at failures.
    return ended.failed or language_of(version.metadata.functionDetails) == "JAVA"
