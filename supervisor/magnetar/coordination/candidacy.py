"""Following and leading by turns: a worker follows both topics until the broker makes it the leader of the fleet."""

from collections.abc import Callable
from typing import Any

import anyio
from structlog.stdlib import BoundLogger

from magnetar.broker_admin import BrokerAdmin
from magnetar.changes import Changes
from magnetar.coordination.fleet import Fleet
from magnetar.coordination.patience import PASSING, delays, patiently
from magnetar.coordination.placing import AssignmentView, FunctionView
from magnetar.coordination.producers import LeaderProducers
from magnetar.coordination.settings import CoordinationSettings
from magnetar.coordination.term import Term
from magnetar.coordination.view import TopicView
from magnetar.jitter import spread
from magnetar.pulsar_client import PulsarClient

# A term that ended sooner is a sign of trouble: the next one waits a little, and longer each time.
_SHORT_TERM = 10


class Candidacy:
    """`term` is set while this worker leads; `settled` once it is known who leads and both topics have been read."""

    def __init__(
        self,
        settings: CoordinationSettings,
        admin: BrokerAdmin,
        client: PulsarClient,
        fleet: Fleet,
        functions: FunctionView,
        assignments: AssignmentView,
        changes: Changes,
        logger: BoundLogger,
    ) -> None:
        self._settings = settings
        self._admin = admin
        self._client = client
        self._fleet = fleet
        self._functions = functions
        self._assignments = assignments
        self._changes = changes
        self._logger = logger
        self.term: Term | None = None
        self.settled = anyio.Event()

    async def run(self) -> None:
        """Follow and lead until cancelled, and leave nothing held."""
        waits = delays()
        while True:
            producers = LeaderProducers(self._settings, self._client)
            try:
                await self._follow_until_elected(producers)
                since = anyio.current_time()
                await self._lead(producers)
            finally:
                await producers.close()
            if anyio.current_time() - since >= _SHORT_TERM:
                waits = delays()
            else:
                # The timer `retries`.
                await anyio.sleep(next(waits))

    async def _follow_until_elected(self, producers: LeaderProducers) -> None:
        """Tail both topics; return, no longer tailing, once the broker has chosen this worker and `producers` are held."""
        loaded = {view: anyio.Event() for view in (self._functions, self._assignments)}
        async with anyio.create_task_group() as tasks:
            for view, event in loaded.items():
                tasks.start_soon(self._tail, view, event.set, name="topic tailer")
            for event in loaded.values():
                await event.wait()
            await self._until_elected(producers)
            tasks.cancel_scope.cancel()

    async def _tail(self, view: TopicView[Any, Any], loaded: Callable[[], None]) -> None:
        """Tail, and begin anew now and then: that is when a compacted topic is read whole."""
        period = self._settings.compaction_interval or float("inf")
        while True:
            # The timer `topic compaction`.
            with anyio.move_on_after(spread(period)):
                await patiently("tailing a topic", lambda: view.tail(loaded), self._logger)

    async def _until_elected(self, producers: LeaderProducers) -> None:
        waits = delays(self._settings.poll_interval)
        while True:
            standing = await patiently("asking for the leader", self._fleet.standing, self._logger)
            if standing.leader == self._settings.me:
                try:
                    return await producers.acquire()
                except PASSING as error:
                    self._logger.info("waiting for the last leader to let go", reason=error)
                    wait = next(waits)
            else:
                waits = delays(self._settings.poll_interval)
                wait = spread(self._settings.poll_interval)
            self.settled.set()
            # The timer `who leads`.
            await anyio.sleep(wait)

    async def _lead(self, producers: LeaderProducers) -> None:
        for view in (self._functions, self._assignments):
            await patiently("reading a topic to its end", view.load, self._logger)
        term = Term(
            self._settings, producers, self._functions, self._assignments, self._fleet, self._admin, self._logger
        )
        self._logger.info("leading the fleet")
        self._set_term(term)
        self.settled.set()
        try:
            await term.run()
        finally:
            self._set_term(None)
            await term.close()

    def _set_term(self, term: Term | None) -> None:
        self.term = term
        self._changes.announce()
