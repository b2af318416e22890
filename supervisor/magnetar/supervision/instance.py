"""The task that keeps one instance as it is desired: fetch, start, watch, wait, start again, replace."""

import random
from collections.abc import Callable
from functools import partial

import anyio

from magnetar.errors import RefusedError, RequestError
from magnetar.lifecycle import Event, Phase
from magnetar.policy.restart import after_refusal
from magnetar.runtimes.base import Exit, RunningInstance, RuntimeStartError, Survivor
from magnetar.supervision.base import InstanceView
from magnetar.supervision.context import SupervisionContext
from magnetar.supervision.desired import Desired
from magnetar.supervision.events import InstanceEvent, log_event
from magnetar.supervision.finding import Finding
from magnetar.supervision.life import Life
from magnetar.supervision.record import Record
from magnetar.supervision.refusal import OLD_GOES_ON, Refusal
from magnetar.supervision.restarts import Restarts, described
from magnetar.supervision.successor import Begun, prepared
from magnetar.supervision.versions import Versions
from magnetar.tasks import unless


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
        self._survivor: Survivor | None = None
        self._successor: Begun | None = None
        self._preparing = False
        self._replacing = False
        told = partial(log_event, self._log)
        self.record = Record(desired.fqfn, desired.instance_id, context.worker_id, changed, told)
        self._versions = Versions(desired, context.rejected_versions, context.hold, context.worker_id)
        self._finding = Finding(context, self.record, self._log)
        self._restarts = Restarts(self.record, context.policy, self._log)
        if self._versions.rejected is not None:
            self._turn.halt(self._versions.rejected)

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
            self._versions.forget()
            await self._context.removed(self._last)

    async def _begin_anew(self) -> None:
        self._wish = anyio.Event()
        if self._successor is not None:
            await self._end_others()
        self._turn.end()
        if self._restarting:
            self._restarting = False
            self._versions.forgive()
            self._turn.forgive()
        self.record.forget()
        self._finding.begin_anew()
        rejected = self._versions.rejected
        if rejected is not None and self._versions.rejects(self._last):
            self._remark(rejected)

    async def _stay_stopped(self) -> None:
        await self._end_others()
        self._versions.forget()
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
        version = self._versions.to_run(self._desired or self._last)
        life = self._life(version)
        try:
            begun = await self._begin(version)
            if begun is None:
                return None
            ended = await life.run(begun)
        except RefusedError as refused:
            return self._refuse(version, life, str(refused))
        except (RequestError, OSError) as problem:
            return self._finding.try_later(str(problem))
        except RuntimeStartError as problem:
            ended = Exit(reason=str(problem))
        if ended is None:
            return None
        return self._after(version, life, ended)

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
        if self._versions.prove(version):
            self._turn.forgive()
        self._restarts.begin_anew()
        self._end_turn()

    def _end_turn(self) -> None:
        """Let the next instance be updated, unless this one is still at it."""
        if not self._preparing and self.record.phase is not Phase.STARTING:
            self._turn.end()

    async def _begin(self, version: Desired) -> Begun | None:
        """Begin an instance, or take up one that was begun; None when something else is wished meanwhile."""
        survivor, self._survivor = self._survivor, None
        if survivor is not None:
            self.record.runtime = survivor.runtime
            self._versions.runs = survivor.fingerprint
            self.record.move(Event.ADOPT)
            return Begun(survivor.instance, survivor.instance.notices(), adopted=True)
        self._versions.runs = version.fingerprint
        successor, self._successor = self._successor, None
        if successor is not None:
            self.record.move(Event.SPAWN, self.record.reason)
            successor.instance.subscribe()
            return successor
        found = await unless(self._wish.wait, lambda: self._finding.find(version))
        if found is None:
            return None
        runtime, spec = found
        async with self._context.starts:
            self.record.runtime = runtime.name
            self.record.move(Event.SPAWN, self.record.reason)
            instance = await runtime.start(spec)
        return Begun(instance, instance.notices())

    # While it lives.

    async def _until_unwanted(self) -> None:
        """Return when the living instance is to end: unwanted, or with a successor that waits for that."""
        while self._stays():
            self._wish = anyio.Event()
            if self._versions.is_outdated(self._desired or self._last):
                if await unless(self._wish.wait, self._replace):
                    return
            else:
                self._take_back()
            await self._wish.wait()

    def _stays(self) -> bool:
        return self._desired is not None and self._desired.running and not self._restarting

    def _take_back(self) -> None:
        """Forget an update that was rejected, when what runs is what is desired again."""
        if self._desired is not None and self._desired.fingerprint == self._versions.runs:
            self._versions.forgive()
            self.record.remark("")

    async def _replace(self) -> bool:
        """Make an update ready to take over; False when it was rejected, and what runs is to run on."""
        wanted = self._desired or self._last
        failures, self._preparing = 0, True
        try:
            while (problem := await self._try_to_prepare(wanted)) is not None:
                self._turn.end_elsewhere()
                failures += 1
                self.record.remark(f"an update is tried again soon, and {OLD_GOES_ON}: {problem}")
                # The timer `restart`.
                await anyio.sleep(after_refusal(self._context.policy, failures, chance=random.random()))  # noqa: S311
        finally:
            self._preparing = False
            if not self._replacing:
                self._end_turn()
        return self._replacing

    async def _try_to_prepare(self, wanted: Desired) -> Exception | None:
        """Prepare an update, or reject it; returns what came in the way and may pass.

        What may take long, such as an environment that is installed, comes before other workers are kept waiting.
        """
        try:
            await self._turn.take()
            refusal = self._turn.halted(wanted.fingerprint)
            if refusal is None:
                await self._finding.find(wanted)
                await self._turn.take_everywhere(wanted.fqiid, self.record.remark)
                refusal = await self._turn.halted_anywhere(wanted.fingerprint)
            if refusal is not None:
                self._heed(refusal)
                return None
            await self._prepare(wanted)
        except RefusedError as refused:
            self._reject(wanted, str(refused))
            return None
        except (RequestError, OSError, RuntimeStartError) as problem:
            return problem
        self._replacing = True
        return None

    async def _prepare(self, wanted: Desired) -> None:
        """Prepare the successor; where those of its kind can't wait, its package is on this host at least."""
        runtime, spec = await self._finding.find(wanted)
        self._successor = await prepared(self._context, runtime, spec)

    def _reject(self, version: Desired, reason: str) -> None:
        refusal = Refusal(version.fingerprint, reason, version.fqiid, self._context.worker_id)
        self._turn.halt(refusal)
        self._heed(refusal)

    def _heed(self, refusal: Refusal) -> None:
        """Have the version before run on, whoever found that this one can't."""
        self._versions.reject(refusal)
        self._remark(refusal)
        found = {"reason": refusal.reason, "found_with": refusal.fqiid, "found_by": refusal.worker}
        self._log.error("The update could not be made; the version before runs on.", **found)
        self._end_turn()

    def _remark(self, refusal: Refusal) -> None:
        self.record.remark(refusal.remark(self._last.fqiid, self._context.worker_id))

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
        if self._may_come_back(version, life) and not self._restarts.is_tried_again(version, ended):
            return self._come_back(version, described(ended))
        return self._restarts.after_end(version, ended)

    def _note_stopped(self) -> None:
        """Note the end of an instance that was wished to end, also where it ended a moment before it was asked to."""
        if self.record.phase.alive:
            self.record.move(Event.STOP)
        if self.record.phase is Phase.STOPPING:
            self.record.move(Event.END)

    def _may_come_back(self, version: Desired, life: Life) -> bool:
        """Whether this was an update that never got ready, and there is a version to come back to."""
        return not life.was_ready and self._versions.may_come_back_from(version)

    def _come_back(self, version: Desired, reason: str) -> float:
        self._restarts.begin_anew()
        if self.record.phase.alive:
            self.record.move(Event.END, reason)
        self._reject(version, reason)
        return 0

    def _refuse(self, version: Desired, life: Life, reason: str) -> float | None:
        if self._may_come_back(version, life):
            return self._come_back(version, reason)
        self.record.move(Event.REFUSE, reason)
        return None
