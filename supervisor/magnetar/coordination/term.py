"""One term of leadership: the only time in which a worker writes functions and places instances."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import anyio
from magnetar_instance.proto.function import Assignment, FunctionMetaData, Instance
from structlog.stdlib import BoundLogger

from magnetar.broker_admin import BrokerAdmin
from magnetar.changes import Changes
from magnetar.coordination.codec import (
    AssignmentChange,
    FunctionChange,
    encode_assignment,
    encode_function,
    update,
)
from magnetar.coordination.fleet import Fleet
from magnetar.coordination.patience import PASSING, patiently, spread
from magnetar.coordination.producers import LeaderProducers
from magnetar.coordination.settings import CoordinationSettings
from magnetar.coordination.tables import accepts
from magnetar.coordination.view import TopicView
from magnetar.errors import BrokerRefusedError, NotReadyError, OutOfDateError, RefusedError
from magnetar.policy.failures import Homeless, check
from magnetar.policy.placement import Plan, instances_of, place, rebalance
from magnetar.pulsar_client import MessageId, Outgoing, Producer

FunctionView = TopicView[FunctionChange, FunctionMetaData]
AssignmentView = TopicView[AssignmentChange, Assignment]

# A message that is not confirmed by then may or may not be stored: the term ends, and the next one reads what was.
_SEND_LIMIT = 10
_COMPACTION_RETRY = 60
_TOO_LARGE = 413
# Alone in the fleet there is nobody to lose the leadership to.
_ALONE_FACTOR = 5


class Term:
    """From holding both producers to losing one of them, or the broker's favour; made anew for each time."""

    def __init__(
        self,
        settings: CoordinationSettings,
        producers: LeaderProducers,
        functions: FunctionView,
        assignments: AssignmentView,
        fleet: Fleet,
        admin: BrokerAdmin,
        logger: BoundLogger,
    ) -> None:
        self._settings = settings
        self._producers = producers
        self._functions = functions
        self._assignments = assignments
        self._fleet = fleet
        self._admin = admin
        self._logger = logger
        self._writing = anyio.Lock()
        self._placing = anyio.Lock()
        self._wanted = Changes()
        self._over = anyio.Event()
        self._uncompacted = self._compactable

    async def run(self) -> None:
        """Lead until another worker is to lead, or until a write failed."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._place_when_wanted, name="placing instances")
            tasks.start_soon(self._check_failures, name="failure check")
            if self._settings.compaction_interval > 0:
                tasks.start_soon(self._compact_now_and_then, name="topic compaction")
            if self._settings.rebalance_interval > 0:
                tasks.start_soon(self._rebalance_now_and_then, name="rebalancing")
            tasks.start_soon(self._watch, name="leadership")
            await self._over.wait()
            tasks.cancel_scope.cancel()

    async def close(self) -> None:
        """End the term and wait, within bounds, for what is on its way: nothing is written or taken over afterwards."""
        self._over.set()
        with anyio.CancelScope(shield=True):
            async with self._writing, self._placing:
                return

    async def change(self, metadata: FunctionMetaData, *, delete: bool) -> None:
        """Write a function's change and see to its instances. Raises OutOfDateError and NotReadyError."""
        change = update(metadata)
        if delete:
            change = FunctionChange(change.fqfn, change.version, None)
        async with self._until_closed(self._writing):
            if not accepts(self._functions.snapshot, change):
                raise OutOfDateError(f"{change.fqfn} was changed by another request meanwhile; read it again and retry")
            settings = self._settings
            message = encode_function(
                metadata, delete=delete, compacted=settings.compacted_metadata, worker_id=settings.worker_id
            )
            place = await self._send(self._producers.functions, [message])
            self._functions.wrote([change], place)
        self.place_soon()

    def place_soon(self) -> None:
        """Have instances placed; asked for many times meanwhile, it is done once."""
        self._wanted.announce()

    async def rebalance(self) -> None:
        """Even out the fleet. Raises NotReadyError and BrokerRefusedError."""
        workers = (await self._fleet.standing()).worker_ids
        async with self._until_closed(self._placing):
            await self._publish(rebalance(self._assignments.snapshot, workers))

    async def _place_when_wanted(self) -> None:
        seen = 0
        while True:
            seen = await self._wanted.after(seen)
            await patiently("placing instances", self._place, self._logger)

    async def _place(self, anew: Collection[str] = ()) -> None:
        """Place what is wanted; the instances of `anew` as if they were nowhere."""
        workers = (await self._fleet.standing()).worker_ids
        async with self._until_closed(self._placing):
            kept = {name: each for name, each in self._assignments.snapshot.items() if name not in anew}
            await self._publish(place(self._instances(), kept, workers))

    def _instances(self) -> dict[str, Instance]:
        return instances_of(self._functions.snapshot.values(), externally_managed=self._settings.externally_managed)

    async def _publish(self, plan: Plan) -> None:
        changes = [AssignmentChange(name, None) for name in plan.removed]
        changes += [AssignmentChange(name, assignment) for name, assignment in plan.placed.items()]
        if not changes:
            return
        try:
            place = await self._send(self._producers.assignments, [encode_assignment(each) for each in changes])
        except RefusedError as error:
            raise self._failed(self._producers.assignments, error) from error
        self._assignments.wrote(changes, place)

    @asynccontextmanager
    async def _until_closed(self, lock: anyio.Lock) -> AsyncIterator[None]:
        async with lock:
            if self._over.is_set():
                raise NotReadyError("the leader is being replaced; try again")
            yield

    async def _send(self, producer: Producer, messages: Sequence[Outgoing]) -> MessageId:
        """Send, whoever gives up waiting: what is stored must be known here, or the term is over."""
        try:
            with anyio.fail_after(_SEND_LIMIT, shield=True):
                place = await producer.send_all(messages)
        except BrokerRefusedError as error:
            if error.status == _TOO_LARGE:
                raise RefusedError(f"{error}: make the config of the function smaller") from error
            raise self._failed(producer, error) from error
        except (*PASSING, TimeoutError) as error:
            raise self._failed(producer, error) from error
        self._uncompacted |= {producer.topic} & self._compactable
        return place

    def _failed(self, producer: Producer, error: Exception) -> NotReadyError:
        self._end(f"{producer.topic} can't be written: {str(error) or type(error).__name__}")
        return NotReadyError("the leader could not write and is being replaced; try again")

    def _end(self, reason: str) -> None:
        if not self._over.is_set():
            self._logger.warning("giving up the leadership", reason=reason)
            self._over.set()

    async def _watch(self) -> None:
        alone = False
        while True:
            await anyio.sleep(spread(self._settings.poll_interval) * (_ALONE_FACTOR if alone else 1))
            standing = await patiently("asking for the leader", self._fleet.standing, self._logger)
            if standing.leader not in (None, self._settings.me):
                self._end(f"{standing.leader.worker_id} is to lead")
            alone = len(standing.members) <= 1

    async def _check_failures(self) -> None:
        settings = self._settings
        homeless = Homeless()
        while True:
            standing = await patiently("asking for the fleet", self._fleet.standing, self._logger)
            now = anyio.current_time()
            homeless = check(homeless, self._instances(), self._assignments.snapshot, standing.worker_ids, now)
            overdue = homeless.overdue(now, settings.reschedule_timeout)
            if overdue:
                await self._move(overdue)
            due = homeless.next_due(settings.reschedule_timeout)
            wait = settings.failure_check_interval
            await anyio.sleep(min(wait, due - now) if due is not None and due > now else wait)

    async def _move(self, overdue: Collection[str]) -> None:
        self._logger.warning("giving instances to other workers", instances=sorted(overdue))
        await patiently("placing instances", lambda: self._place(overdue), self._logger)

    async def _rebalance_now_and_then(self) -> None:
        while True:
            await anyio.sleep(self._settings.rebalance_interval)
            await patiently("rebalancing", self.rebalance, self._logger)

    async def _compact_now_and_then(self) -> None:
        wait = self._settings.compaction_interval
        while True:
            await anyio.sleep(wait)
            wait = self._settings.compaction_interval
            for topic in sorted(self._uncompacted):
                try:
                    await self._admin.compact(topic)
                except PASSING as error:
                    self._logger.warning("compaction failed", topic=topic, reason=error)
                    wait = _COMPACTION_RETRY
                else:
                    self._uncompacted -= {topic}

    @property
    def _compactable(self) -> frozenset[str]:
        """The topics whose messages have keys."""
        settings = self._settings
        keyed = {settings.assignment_topic}
        return frozenset(keyed | ({settings.metadata_topic} if settings.compacted_metadata else set()))
