"""One term of leadership: the only time in which a worker writes functions and places instances."""

import anyio
from magnetar_instance.proto.function import FunctionMetaData
from structlog.stdlib import BoundLogger

from magnetar.broker_admin import BrokerAdmin
from magnetar.coordination.codec import FunctionChange, encode_function, update
from magnetar.coordination.fleet import Fleet
from magnetar.coordination.mandate import Mandate
from magnetar.coordination.patience import PASSING, patiently
from magnetar.coordination.placing import AssignmentView, FunctionView, Placing
from magnetar.coordination.producers import LeaderProducers
from magnetar.coordination.settings import CoordinationSettings
from magnetar.coordination.tables import accepts
from magnetar.errors import OutOfDateError
from magnetar.jitter import spread

_COMPACTION_RETRY = 60
_ALONE = 4
"""So many times as long a worker that is alone waits before it asks who leads: nobody else is there to."""


class Term:
    """From holding both producers to losing the mandate; made anew for each time."""

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
        self._fleet = fleet
        self._admin = admin
        self._logger = logger
        self._writing = anyio.Lock()
        self._mandate = Mandate(logger)
        self.placing = Placing(settings, self._mandate, producers, functions, assignments, fleet, logger)

    async def run(self) -> None:
        """Lead until another worker is to lead, or until a write failed."""
        async with anyio.create_task_group() as tasks:
            self.placing.start(tasks)
            self.placing.place_soon()
            tasks.start_soon(self._watch, name="leadership")
            if self._settings.compaction_interval > 0:
                tasks.start_soon(self._compact_now_and_then, name="topic compaction")
            await self._mandate.lost.wait()
            tasks.cancel_scope.cancel()

    async def close(self) -> None:
        """End the term and wait, within bounds, for what is on its way: nothing is written or taken over afterwards."""
        self._mandate.lost.set()
        with anyio.CancelScope(shield=True):
            async with self._writing, self.placing.lock:
                return

    async def change(self, metadata: FunctionMetaData, *, delete: bool) -> None:
        """Write a function's change and see to its instances. Raises OutOfDateError, RefusedError and NotReadyError."""
        settings = self._settings
        change = update(metadata)
        if delete:
            change = FunctionChange(change.fqfn, change.version, None)
        message = encode_function(
            metadata, delete=delete, compacted=settings.compacted_metadata, worker_id=settings.worker_id
        )
        async with self._mandate.held(self._writing):
            if not accepts(self._functions.snapshot, change):
                raise OutOfDateError(f"{change.fqfn} was changed by another request meanwhile; read it again and retry")
            place = await self._mandate.send(self._producers.functions, [message])
            self._functions.wrote([change], place)
        self.placing.place_soon()

    async def _watch(self) -> None:
        settings = self._settings
        wait = settings.poll_interval
        while True:
            # The timer `who leads`.
            await anyio.sleep(spread(wait))
            standing = await patiently("asking for the leader", self._fleet.standing, self._logger)
            if standing.leader not in (None, settings.me):
                self._mandate.lose(f"{standing.leader.worker_id} is to lead")
            self.placing.look_at(standing)
            alone = standing.worker_ids <= {settings.worker_id}
            wait = settings.poll_interval * (_ALONE if alone else 1)

    async def _compact_now_and_then(self) -> None:
        """Compact what was written since the last time; what an earlier leader wrote counts at the first one."""
        settings = self._settings
        keyed = {settings.assignment_topic} | ({settings.metadata_topic} if settings.compacted_metadata else set())
        due = set(keyed)
        wait = settings.compaction_interval
        while True:
            # The timer `topic compaction`.
            await anyio.sleep(spread(wait))
            due |= self._mandate.written & keyed
            self._mandate.written.clear()
            due = {topic for topic in due if not await self._compacted(topic)}
            wait = min(_COMPACTION_RETRY, settings.compaction_interval) if due else settings.compaction_interval

    async def _compacted(self, topic: str) -> bool:
        """Ask for a compaction; one that is under way may have begun before the last message."""
        try:
            return await self._admin.compact(topic)
        except PASSING as error:
            self._logger.warning("compaction failed", topic=topic, reason=error)
            return False
