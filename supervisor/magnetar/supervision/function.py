"""The task that keeps one function as it is desired where something else keeps its instances alive."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio
from magnetar_instance.proto.control import FunctionStatus, MetricsData

from magnetar.errors import RefusedError, RequestError
from magnetar.lifecycle import Phase
from magnetar.policy.restart import after_refusal
from magnetar.runtimes.base import ExternalRuntime, InstanceReport
from magnetar.supervision.base import InstanceView
from magnetar.supervision.context import SupervisionContext
from magnetar.supervision.desired import Desired

_DISTURBED_PAUSE = 1.0
_GOING_ON = (Phase.RUNNING, Phase.UNHEALTHY)


@dataclass(frozen=True)
class Problem:
    """Why a function is not as desired; it is tried again unless only another config can mend it."""

    phase: Phase
    reason: str


class SupervisedFunction:
    """One function and its task; `desire` and `restart` are what others may do to it."""

    def __init__(self, desired: Desired, context: SupervisionContext, changed: Callable[[], None]) -> None:
        self._desired: Desired | None = desired
        self._last = desired
        self._context = context
        self._changed = changed
        self._log = context.logger.bind(function=desired.fqfn)
        self._wish = anyio.Event()
        self._begun = anyio.Event()
        self._leaving = False
        self._gone = False
        self._restarting = False
        self._problem: Problem | None = None

    @property
    def desired(self) -> Desired | None:
        """What was desired last; None once the function is to be removed."""
        return self._desired

    def desire(self, desired: Desired | None) -> None:
        """Change what is wanted; None removes the function. One that can stay as it is is left alone."""
        before, self._desired = self._desired, desired
        self._last = desired or self._last
        if before is None or desired is None or not desired.runs_the_same_as(before):
            self._wish.set()

    def leave(self) -> None:
        """Leave the function as it is: this worker ends, the instances need not."""
        self._leaving = True
        self._wish.set()

    async def restart(self, instance_id: int | None = None) -> None:
        """Replace one instance, or all one after the other; returns when that was begun.

        Raises ConnectionError with the reason when one can't be replaced.
        """
        if instance_id is not None:
            try:
                await self._runtime().restart_instance(self._last.function, instance_id)
            except RequestError as error:
                raise ConnectionError(str(error)) from None
            return
        begun, self._restarting = self._begun, True
        self._wish.set()
        await begun.wait()

    async def run(self) -> None:
        """Keep the function as desired until it is gone or another worker's."""
        failures = 0
        while not self._leaving:
            self._wish = anyio.Event()
            delay: float | None = None
            try:
                await self._unless_wished(self._bring_about)
            except RefusedError as refused:
                self._note(Problem(Phase.FAILED, str(refused)))
            except (RequestError, OSError) as problem:
                failures += 1
                delay = after_refusal(self._context.policy, failures, chance=random.random())  # noqa: S311
                self._note(Problem(Phase.BACKING_OFF, str(problem)))
            else:
                failures = 0
                if self._desired is None and not self._wish.is_set():
                    break
            await self._wait(delay)
        self._tell_begun()

    async def _bring_about(self) -> None:
        desired = self._desired
        if desired is None:
            await self._let_go()
            return
        if desired.running:
            self._tell_begun()
            runtime = self._runtime()
            await runtime.submit(desired.function, restart=self._restarting)
            self._restarting = False
            self._note(None)
            await runtime.disturbed(desired.function)
            self._log.warning("Something of the function is missing; it is submitted again.")
            await anyio.sleep(_DISTURBED_PAUSE)
            return
        self._tell_begun()
        await self._runtime().stop(desired.function)
        self._note(None)
        await anyio.sleep_forever()

    async def _let_go(self) -> None:
        """Remove the function, unless it only went to another worker."""
        if self._context.assigned(self._last.fqiid):
            return
        await self._runtime().remove(self._last.function)
        self._gone = True
        await self._context.removed(self._last)

    def _runtime(self) -> ExternalRuntime:
        """Return the runtime that has the function, or raise RefusedError.

        One that is to be removed may have been moved to another runtime by an update.
        """
        runtime, name = self._context.external, ""
        if self._desired is not None:
            name = self._context.choose(self._desired.metadata.functionDetails)
        if runtime is None or name not in ("", runtime.name):
            raise RefusedError(f"the runtime {name} runs instances one by one: the function is about to be moved there")
        return runtime

    async def _wait(self, delay: float | None) -> None:
        """Wait for another wish, or until the next try is due."""
        if self._problem is None:
            return
        with anyio.move_on_after(delay):
            await self._wish.wait()

    async def _unless_wished(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do some work, given up as soon as something else is wished; all of it can be begun again."""
        failure: RequestError | OSError | None = None

        async def give_up() -> None:
            await self._wish.wait()
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(give_up, name="give up when wished")
            try:
                await work()
            except (RequestError, OSError) as problem:
                failure = problem
            tasks.cancel_scope.cancel()
        if failure is not None:
            raise failure

    def _note(self, problem: Problem | None) -> None:
        if problem is not None and problem != self._problem:
            self._log.warning("The function is not as it should be.", reason=problem.reason)
        self._problem = problem
        self._changed()

    def _tell_begun(self) -> None:
        begun, self._begun = self._begun, anyio.Event()
        begun.set()

    def views(self) -> list[InstanceView]:
        """Return every instance of the function."""
        if self._gone:
            return []
        desired = self._last
        count = desired.metadata.functionDetails.parallelism
        if not desired.running:
            return [self._view(InstanceReport(each, Phase.STOPPED)) for each in range(count)]
        try:
            reports = self._runtime().reports(desired.function)
        except RefusedError as refused:
            reports = [InstanceReport(each, Phase.FAILED, str(refused)) for each in range(count)]
        return [self._view(report) for report in reports]

    def _view(self, report: InstanceReport) -> InstanceView:
        phase, reason = report.phase, report.reason
        if self._problem is not None:
            here = phase in _GOING_ON
            phase = phase if here else self._problem.phase
            reason = "\n".join(filter(None, (self._problem.reason, reason if here else "")))
        return InstanceView(
            fqfn=self._last.fqfn,
            instance_id=report.instance_id,
            worker=self._context.worker_id,
            runtime=self._context.external.name if self._context.external else "",
            phase=phase,
            reason=reason,
            started_at=report.started_at,
            restarts=report.restarts,
        )

    async def status(self, instance_id: int) -> FunctionStatus:
        """Ask an instance, or raise ConnectionError with the reason why there is no answer."""
        try:
            return await self._runtime().status(self._last.function, instance_id)
        except RequestError as error:
            raise ConnectionError(str(error)) from None

    async def metrics(self, instance_id: int) -> MetricsData:
        """Ask an instance for its figures, or raise ConnectionError."""
        try:
            return await self._runtime().metrics(self._last.function, instance_id)
        except RequestError as error:
            raise ConnectionError(str(error)) from None
