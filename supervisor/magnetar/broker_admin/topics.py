"""Topics and their subscriptions; topics are given by their full names."""

from urllib.parse import quote

from magnetar.broker_admin.answers import BrokerMessageId, TopicStats, message_id, topic_stats
from magnetar.broker_admin.calls import BrokerCalls
from magnetar.broker_admin.paths import topic_path

_EARLIEST = {"ledgerId": -1, "entryId": -1, "partitionIndex": -1}


class Topics(BrokerCalls):
    """What messages live in."""

    async def create_topic(self, topic: str) -> bool:
        """Create a topic without partitions; False when it is there already."""
        return await self._created(topic_path(topic))

    async def partitions(self, topic: str) -> int:
        """Return how many partitions a topic has: 0 when it has none or is not there."""
        count = (await self._object(f"{topic_path(topic)}/partitions")).get("partitions")
        return count if isinstance(count, int) else 0

    async def topic_stats(self, topic: str) -> TopicStats:
        """Return a topic's producers, subscriptions and consumers."""
        return topic_stats(await self._object(f"{topic_path(topic)}/stats"))

    async def last_message_id(self, topic: str) -> BrokerMessageId:
        """Return the id of a topic's last message."""
        return message_id(await self._object(f"{topic_path(topic)}/lastMessageId"))

    async def compact(self, topic: str) -> bool:
        """Ask for a topic's compaction, which goes on after the answer; False when one is under way already."""
        return await self._created(f"{topic_path(topic)}/compaction")

    async def subscriptions(self, topic: str) -> list[str]:
        """List a topic's subscriptions."""
        return await self._names(f"{topic_path(topic)}/subscriptions")

    async def create_subscription(self, topic: str, name: str) -> bool:
        """Create a subscription at the earliest message; False when it is there already."""
        return await self._created(_subscription(topic, name), json=_EARLIEST)

    async def delete_subscription(self, topic: str, name: str, *, force: bool = False) -> None:
        """Delete a subscription; `force` closes its consumers, else they are a reason to refuse (412)."""
        await self._call("DELETE", _subscription(topic, name), params={"force": str(force).lower()})


def _subscription(topic: str, name: str) -> str:
    return f"{topic_path(topic)}/subscription/{quote(name, safe='')}"
