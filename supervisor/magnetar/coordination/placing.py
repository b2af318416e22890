"""The leader's placing of instances: one look at a time at what is wanted, what is assigned and who is there."""

from collections.abc import Callable, Collection, Mapping

import anyio
import anyio.abc
from magnetar_instance.proto.function import Assignment, FunctionMetaData, Instance
from structlog.stdlib import BoundLogger

from magnetar.changes import Changes
from magnetar.coordination.base import DrainStatus
from magnetar.coordination.codec import AssignmentChange, FunctionChange, encode_assignment
from magnetar.coordination.drains import Drains
from magnetar.coordination.fleet import Fleet, Standing
from magnetar.coordination.mandate import Mandate
from magnetar.coordination.patience import patiently
from magnetar.coordination.producers import LeaderProducers
from magnetar.coordination.settings import CoordinationSettings
from magnetar.coordination.view import TopicView
from magnetar.errors import RefusedError
from magnetar.jitter import spread
from magnetar.policy.failures import Homeless, check
from magnetar.policy.placement import Plan, instances_of, place, rebalance, without_worker

FunctionView = TopicView[FunctionChange, FunctionMetaData]
AssignmentView = TopicView[AssignmentChange, Assignment]


class Placing:
    """What a leader does about instances during one term."""

    def __init__(
        self,
        settings: CoordinationSettings,
        mandate: Mandate,
        producers: LeaderProducers,
        functions: FunctionView,
        assignments: AssignmentView,
        fleet: Fleet,
        logger: BoundLogger,
    ) -> None:
        self._settings = settings
        self._mandate = mandate
        self._producers = producers
        self._functions = functions
        self._assignments = assignments
        self._fleet = fleet
        self._logger = logger
        self._drains = Drains()
        self._wanted = Changes()
        self._rebalancing = False
        self.lock = anyio.Lock()

    def start(self, tasks: anyio.abc.TaskGroup) -> None:
        """Begin what goes on for the whole term."""
        tasks.start_soon(self._place_when_wanted, name="placing instances")
        tasks.start_soon(self._check_failures, name="failure check")
        if self._settings.rebalance_interval > 0:
            tasks.start_soon(self._rebalance_now_and_then, name="rebalancing")

    def place_soon(self) -> None:
        """Have instances placed; asked for many times meanwhile, it is done once."""
        self._wanted.announce()

    async def rebalance(self) -> None:
        """Even out the fleet. Raises RefusedError, NotReadyError and BrokerRefusedError."""
        if self._rebalancing:
            raise RefusedError("a rebalance is under way: wait until it has ended")
        if len(await self._open_workers()) <= 1:
            raise RefusedError("there is nothing to even out in a fleet of one: start another worker first")
        self._rebalancing = True
        try:
            await self._even_out()
        finally:
            self._rebalancing = False

    async def drain(self, worker_id: str) -> None:
        """Move everything off a worker. Raises as `Coordination.drain` does, and BrokerRefusedError."""
        self._drains.begin(worker_id, await self._members())
        try:
            await self._place(lambda assigned: assigned.keys() - without_worker(assigned, worker_id).keys())
        except BaseException as error:
            self._drains.end(worker_id, str(error) or type(error).__name__)
            raise
        self._drains.end(worker_id)
        self._logger.info("drained a worker", drained=worker_id)

    async def drain_status(self, worker_id: str) -> DrainStatus:
        """Return how a drain is getting on. Raises NotReadyError and BrokerRefusedError."""
        return self._drains.status(worker_id, await self._members())

    def look_at(self, standing: Standing) -> None:
        """Take note of the fleet as it is now."""
        self._drains.forget_all_but(standing.worker_ids)

    async def _place_when_wanted(self) -> None:
        seen = 0
        while True:
            seen = await self._wanted.after(seen)
            await patiently("placing instances", self._place, self._logger)

    async def _place(self, anew: Callable[[Mapping[str, Assignment]], Collection[str]] = lambda _: frozenset()) -> None:
        """Place what is wanted; the instances that `anew` names among the assigned ones as if they were nowhere."""
        workers = await self._open_workers()
        async with self._mandate.held(self.lock):
            assigned = self._assignments.snapshot
            moving = anew(assigned)
            kept = {name: each for name, each in assigned.items() if name not in moving}
            await self._publish(place(self._instances(), kept, workers))

    async def _even_out(self) -> None:
        workers = await self._open_workers()
        async with self._mandate.held(self.lock):
            await self._publish(rebalance(self._assignments.snapshot, workers))

    async def _rebalance_now_and_then(self) -> None:
        while True:
            # The timer `rebalancing`.
            await anyio.sleep(spread(self._settings.rebalance_interval))
            await patiently("rebalancing", self._even_out, self._logger)

    async def _check_failures(self) -> None:
        timeout = self._settings.reschedule_timeout
        homeless = Homeless()
        while True:
            standing = await patiently("asking for the fleet", self._fleet.standing, self._logger)
            now = anyio.current_time()
            homeless = check(homeless, self._instances(), self._assignments.snapshot, standing.worker_ids, now)
            if overdue := homeless.overdue(now, timeout):
                await self._move(overdue)
            due = homeless.next_due(timeout)
            wait = spread(self._settings.failure_check_interval)
            # The timer `failure check`.
            await anyio.sleep(min(wait, due - now) if due is not None and due > now else wait)

    async def _move(self, overdue: Collection[str]) -> None:
        self._logger.warning("giving instances to other workers", instances=sorted(overdue))
        await patiently("placing instances", lambda: self._place(lambda _: overdue), self._logger)

    async def _open_workers(self) -> frozenset[str]:
        """Ask for the workers that take instances."""
        return await self._members() - self._drains.workers

    async def _members(self) -> frozenset[str]:
        standing = await self._fleet.standing()
        self.look_at(standing)
        return standing.worker_ids

    def _instances(self) -> dict[str, Instance]:
        return instances_of(self._functions.snapshot.values(), externally_managed=self._settings.externally_managed)

    async def _publish(self, plan: Plan) -> None:
        changes = [AssignmentChange(name, None) for name in plan.removed]
        changes += [AssignmentChange(name, assignment) for name, assignment in plan.placed.items()]
        if not changes:
            return
        try:
            place = await self._mandate.send(self._producers.assignments, [encode_assignment(each) for each in changes])
        except RefusedError as error:
            self._mandate.lose(str(error))
            raise
        self._assignments.wrote(changes, place)
