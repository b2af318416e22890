"""Whose turn it is in the fleet to replace an instance of a function: one worker's at a time.

The turn is an Exclusive subscription of the coordination topic, on which nothing is ever sent. It ends with its connection,
so that a worker that is killed keeps nobody waiting; Pulsar's own workers look at `participants` alone there.
"""

import uuid
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

import anyio
from magnetar_instance.proto.function import Assignment
from structlog.stdlib import BoundLogger

from magnetar.broker_admin import BrokerAdmin
from magnetar.coordination.patience import PASSING, delays
from magnetar.coordination.settings import CoordinationSettings
from magnetar.policy.turns import Wait, is_shared
from magnetar.pulsar_client import Consumer, PulsarClient, SubscriptionKind
from magnetar.tasks import ServingTasks, unless


def subscription_of(fqfn: str) -> str:
    """Return the subscription that stands for a function's turn."""
    return f"update-{fqfn.replace('/', '.')}"


def _nothing() -> None:
    """Let nobody go on: nobody waits."""


class Turns:
    """This worker's turns; an async context manager that gives all of them back when it is left."""

    def __init__(
        self,
        settings: CoordinationSettings,
        admin: BrokerAdmin,
        client: PulsarClient,
        assignments: Callable[[], Mapping[str, Assignment]],
        logger: BoundLogger,
    ) -> None:
        self._settings = settings
        self._admin = admin
        self._client = client
        self._assignments = assignments
        self._logger = logger
        self._tasks = ServingTasks()
        self._given_up: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._tasks.__aexit__(kind, error, trace)

    async def take(self, fqiid: str, waiting: Callable[[str], None]) -> Callable[[], None]:
        """Wait for the turn of an instance's function; what is returned gives it back. As `PulsarCoordination.turn`."""
        owners = {name: each.workerId for name, each in self._assignments().items()}
        if not is_shared(fqiid.rpartition(":")[0], owners, self._settings.worker_id):
            return _nothing
        granted, over = anyio.Event(), anyio.Event()
        self._tasks.group.start_soon(self._hold, fqiid, waiting, granted, over, name=f"turn of {fqiid}")
        try:
            await granted.wait()
        except BaseException:
            over.set()
            raise
        return over.set

    async def _hold(self, fqiid: str, waiting: Callable[[str], None], granted: anyio.Event, over: anyio.Event) -> None:
        held = await unless(over.wait, lambda: self._acquire(fqiid, waiting))
        granted.set()
        if held is None:
            return
        try:
            await over.wait()
        finally:
            await held.unsubscribe()

    async def _acquire(self, fqiid: str, waiting: Callable[[str], None]) -> Consumer | None:
        """Return the subscription; None when who has it was waited for long enough."""
        fqfn = fqiid.rpartition(":")[0]
        holder = f"{self._settings.worker_id} {fqiid} {uuid.uuid4().hex[:8]}"
        waits = delays(self._settings.poll_interval)
        wait = Wait("", anyio.current_time())
        while True:
            try:
                held = await self._client.subscribe(
                    self._settings.coordination_topic,
                    subscription_of(fqfn),
                    kind=SubscriptionKind.EXCLUSIVE,
                    consumer_name=holder,
                )
            except PASSING as error:
                before, wait = wait, wait.on(await self._holder(fqfn) or str(error), anyio.current_time())
            else:
                self._given_up.pop(fqfn, None)
                waiting("")
                return held
            if self._is_given_up(fqfn, wait):
                waiting("")
                return None
            waiting(f"an update waits for its turn, which another has: {wait.cause}")
            if wait is not before:
                waits = delays(self._settings.poll_interval)
            # The timer `turns`.
            await anyio.sleep(next(waits))

    def _is_given_up(self, fqfn: str, wait: Wait) -> bool:
        """Whether what is waited for is waited for no longer, and was not the last time."""
        if self._given_up.get(fqfn) == wait.cause:
            return True
        if not wait.is_over(anyio.current_time(), self._settings.turn_patience):
            return False
        self._given_up[fqfn] = wait.cause
        self._logger.warning(
            "The turn of another worker to update an instance is waited for no longer.",
            function=fqfn,
            turn_of=wait.cause,
            seconds=self._settings.turn_patience,
        )
        return True

    async def _holder(self, fqfn: str) -> str:
        """Return who has the turn, empty when the broker does not tell."""
        try:
            stats = await self._admin.topic_stats(self._settings.coordination_topic)
        except PASSING:
            return ""
        found = stats.subscriptions.get(subscription_of(fqfn))
        return next((each.name for each in found.consumers), "") if found is not None else ""
