"""Who belongs to the fleet and who leads it, read from the broker's figures of the coordination topic.

Every worker holds one Failover consumer there, under the subscription `participants`; the broker picks the active one, which
is the leader. Nothing is cached: each question goes to the broker.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from magnetar.broker_admin import BrokerAdmin, TopicStats
from magnetar.coordination.base import WorkerInfo
from magnetar.coordination.settings import CoordinationSettings
from magnetar.pulsar_client import PulsarClient, SubscriptionKind

PARTICIPANTS = "participants"
_IDENTIFIER = "id"


@dataclass(frozen=True)
class Standing:
    """The fleet at one moment; `leader` is None while the broker has not chosen one."""

    members: tuple[WorkerInfo, ...] = ()
    leader: WorkerInfo | None = None

    @property
    def worker_ids(self) -> frozenset[str]:
        """The members' ids."""
        return frozenset(member.worker_id for member in self.members)


def standing_of(stats: TopicStats) -> Standing:
    """Read the fleet from the figures; consumers that are no workers are left out."""
    subscription = stats.subscriptions.get(PARTICIPANTS)
    if subscription is None:
        return Standing()
    found = {each.name: worker_info(each.properties.get(_IDENTIFIER, "")) for each in subscription.consumers}
    members = tuple(info for info in found.values() if info is not None)
    return Standing(members, found.get(subscription.active_consumer or ""))


def worker_info(text: str) -> WorkerInfo | None:
    """Read `workerId:hostname:port`; None for anything else."""
    parts = text.split(":")
    if len(parts) != len(WorkerInfo.__dataclass_fields__) or not parts[-1].isdecimal():
        return None
    return WorkerInfo(parts[0], parts[1], int(parts[2]))


def participant_name(worker: WorkerInfo) -> str:
    """Return the name under which a worker takes part."""
    return f"{worker.worker_id}:{worker.hostname}:{worker.port}"


class Fleet:
    """This worker's part in the fleet."""

    def __init__(self, settings: CoordinationSettings, admin: BrokerAdmin, client: PulsarClient) -> None:
        self._settings = settings
        self._admin = admin
        self._client = client

    @asynccontextmanager
    async def taking_part(self) -> AsyncIterator[None]:
        """Be a member while the context is open."""
        name = participant_name(self._settings.me)
        consumer = await self._client.subscribe(
            self._settings.coordination_topic,
            PARTICIPANTS,
            kind=SubscriptionKind.FAILOVER,
            consumer_name=name,
            properties={_IDENTIFIER: name},
            earliest=True,
        )
        try:
            yield
        finally:
            await consumer.close()

    async def standing(self) -> Standing:
        """Ask the broker. Raises NotReadyError and BrokerRefusedError."""
        return standing_of(await self._admin.topic_stats(self._settings.coordination_topic))

    async def i_lead(self) -> bool:
        """Ask the broker whether this worker is the one that should lead."""
        return (await self.standing()).leader == self._settings.me
