"""One worker's part in the fleet, from taking part to leaving."""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import anyio
from magnetar_instance.proto.function import Assignment, FunctionMetaData
from structlog.stdlib import BoundLogger

from magnetar.broker_admin import BrokerAdmin
from magnetar.changes import Changes
from magnetar.coordination.base import DrainStatus, WorkerInfo
from magnetar.coordination.candidacy import Candidacy
from magnetar.coordination.codec import AssignmentChange, FunctionChange, decode_assignment, decode_function, update
from magnetar.coordination.first_start import prepare
from magnetar.coordination.fleet import Fleet
from magnetar.coordination.forward import Forward
from magnetar.coordination.patience import delays
from magnetar.coordination.placing import AssignmentView, FunctionView
from magnetar.coordination.settings import CoordinationSettings
from magnetar.coordination.tables import accepts, with_assignments, with_functions
from magnetar.coordination.term import Term
from magnetar.coordination.turns import Turns
from magnetar.coordination.view import TopicForm, TopicView
from magnetar.errors import BrokerRefusedError, NotReadyError, OutOfDateError
from magnetar.logs import worker_logger
from magnetar.model.names import name_of
from magnetar.pulsar_client import PulsarClient
from magnetar.tasks import ServingTasks

# Seconds for what another worker wrote to come back here.
_SEEN_PATIENCE = 5


class PulsarCoordination:
    """Functions, assignments and leadership through Pulsar's three topics: an async context manager, a `Coordination`.

    Entering waits for the broker, makes what a first worker makes, reads both topics and settles who leads. Raises
    NotReadyError when the broker is silent for `start_patience`, BrokerRefusedError when it refuses.
    """

    def __init__(
        self,
        settings: CoordinationSettings,
        admin: BrokerAdmin,
        client: PulsarClient,
        forward: Forward,
        logger: BoundLogger | None = None,
    ) -> None:
        logger = (logger or worker_logger()).bind(worker=settings.worker_id)
        self._settings = settings
        self._admin = admin
        self._forward = forward
        self._logger = logger
        self._fleet = Fleet(settings, admin, client)
        self._changes = Changes()
        self._functions: FunctionView = TopicView(_functions(settings), client, self._changes, logger)
        self._assignments: AssignmentView = TopicView(_assignments(settings), client, self._changes, logger)
        self._candidacy = Candidacy(
            settings, admin, client, self._fleet, self._functions, self._assignments, self._changes, logger
        )
        self._turns = Turns(settings, admin, client, lambda: self.assignments, logger)
        self._entered = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self._prepare()
            await stack.enter_async_context(self._fleet.taking_part())
            tasks = await stack.enter_async_context(ServingTasks())
            tasks.group.start_soon(self._candidacy.run, name="leadership of the fleet")
            await self._candidacy.settled.wait()
            await stack.enter_async_context(self._turns)
            self._entered = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        return await self._entered.__aexit__(kind, error, traceback)

    @property
    def functions(self) -> Mapping[str, FunctionMetaData]:
        """All functions, sources and sinks by `tenant/namespace/name`."""
        return self._functions.snapshot

    @property
    def assignments(self) -> Mapping[str, Assignment]:
        """All assignments by `tenant/namespace/name:instance`."""
        return self._assignments.snapshot

    @property
    def is_leader(self) -> bool:
        """Whether this worker leads and holds the exclusive producers."""
        return self._candidacy.term is not None

    @property
    def generation(self) -> int:
        """A number that rises with every change of functions, assignments or this worker's leadership."""
        return self._changes.generation

    async def changed(self, seen: int) -> int:
        """Wait until `generation` is above `seen`; returns it."""
        return await self._changes.after(seen)

    async def members(self) -> list[WorkerInfo]:
        """Ask the broker for the workers of the fleet."""
        return list((await self._fleet.standing()).members)

    async def leader(self) -> WorkerInfo | None:
        """Ask the broker for the leader."""
        return (await self._fleet.standing()).leader

    async def write(self, metadata: FunctionMetaData) -> None:
        """Write a function's new metadata through the leader and schedule; returns once it is durable and seen here.

        Raises OutOfDateError when `metadata.version` is not above the current one, NotReadyError without a leader.
        """
        await self._change(metadata, delete=False)

    async def delete(self, metadata: FunctionMetaData) -> None:
        """Delete a function through the leader; `metadata.version` must be above the current one. Raises as `write`."""
        await self._change(metadata, delete=True)

    async def turn(self, fqiid: str, waiting: Callable[[str], None]) -> Callable[[], None]:
        """Wait until no other worker replaces an instance of the same function; what is returned lets the next one.

        `waiting` is told what is waited for. One that keeps the turn for too long is waited for no longer.
        """
        return await self._turns.take(fqiid, waiting)

    async def rebalance(self) -> None:
        """Move instances until no worker has two more than another. Raises as `Coordination.rebalance` does."""
        await self._leading().placing.rebalance()

    async def drain(self, worker_id: str) -> None:
        """Move everything off a worker, which gets nothing new until it has left. Raises as `Coordination.drain` does."""
        await self._leading().placing.drain(worker_id)

    async def drain_status(self, worker_id: str) -> DrainStatus:
        """Return how a drain is getting on. Raises NotReadyError on a worker that does not lead."""
        return await self._leading().placing.drain_status(worker_id)

    def _leading(self) -> Term:
        if self._candidacy.term is None:
            raise NotReadyError("this worker does not lead the fleet; ask the leader")
        return self._candidacy.term

    async def _prepare(self) -> None:
        """Make what a first worker makes, once the broker is there."""
        waits = delays(1)
        with anyio.move_on_after(self._settings.start_patience):
            while True:
                try:
                    return await prepare(self._settings, self._admin)
                except NotReadyError as error:
                    self._logger.info("waiting for the broker", reason=error)
                # The timer `retries`.
                await anyio.sleep(next(waits))
        return await prepare(self._settings, self._admin)

    async def _change(self, metadata: FunctionMetaData, *, delete: bool) -> None:
        """Have a change written, trying again while the leadership moves from one worker to another."""
        copy = FunctionMetaData()
        copy.CopyFrom(metadata)  # what is kept here must not change when the caller goes on with its own
        deadline = anyio.current_time() + self._settings.write_patience
        waits = delays(1)
        unsure = False
        while True:
            try:
                await self._change_once(copy, delete=delete)
            except (NotReadyError, BrokerRefusedError):
                if anyio.current_time() >= deadline:
                    raise
            except OutOfDateError:
                if unsure and await self._is_done(copy, delete=delete):
                    return
                raise
            else:
                return
            unsure = True
            # The timer `retries`.
            await anyio.sleep(next(waits))

    async def _change_once(self, metadata: FunctionMetaData, *, delete: bool) -> None:
        leader = await self._other_leader()
        if self._candidacy.term is not None:
            await self._candidacy.term.change(metadata, delete=delete)
        elif leader is not None:
            await self._forward(leader, metadata, delete=delete)
            await self._until_seen(metadata, delete=delete)
        else:
            raise NotReadyError("the fleet has no leader at the moment; try again")

    async def _is_done(self, metadata: FunctionMetaData, *, delete: bool) -> bool:
        """Whether an attempt that seemed to fail was stored all the same."""
        await self._until_seen(metadata, delete=delete)
        stored = self.functions.get(name_of(metadata.functionDetails).fqfn)
        return stored is None if delete else stored == metadata

    async def _other_leader(self) -> WorkerInfo | None:
        """Return the worker to ask; None when this one leads, or nobody does within bounds."""
        waits = delays(1)
        with anyio.move_on_after(self._settings.write_patience):
            while self._candidacy.term is None:
                leader = await self.leader()
                if leader not in (None, self._settings.me):
                    return leader
                # The timer `retries`.
                with anyio.move_on_after(next(waits)):
                    await self._changes.after(self._changes.generation)
        return None

    async def _until_seen(self, metadata: FunctionMetaData, *, delete: bool) -> None:
        """Wait, within bounds, until what the leader wrote has come back through the topic."""
        change = update(metadata)
        if delete:
            change = FunctionChange(change.fqfn, change.version, None)
        with anyio.move_on_after(_SEEN_PATIENCE):
            while accepts(self._functions.snapshot, change):
                await self._changes.after(self._changes.generation)


def _functions(settings: CoordinationSettings) -> TopicForm[FunctionChange, FunctionMetaData]:
    return TopicForm(
        topic=settings.metadata_topic,
        reader_name=f"{settings.worker_id}-function-metadata-tailer",
        compacted=settings.compacted_metadata,
        decode=decode_function,
        apply=with_functions,
    )


def _assignments(settings: CoordinationSettings) -> TopicForm[AssignmentChange, Assignment]:
    return TopicForm(
        topic=settings.assignment_topic,
        reader_name=f"{settings.worker_id}-function-assignment-tailer",
        compacted=True,
        decode=decode_assignment,
        apply=with_assignments,
    )
