"""Giving disk space back: what nobody wants is forgotten, and segments that hold little else are emptied and deleted."""

import logging
import time
from collections.abc import Callable, Iterable

from magnetar_broker.errors import DamagedError
from magnetar_broker.store.journal import Journal
from magnetar_broker.topics.topic import Topic

_UNREAD_GRACE = 600.0
_PART = 256 * 1024
_GARBAGE = 0.5

logger = logging.getLogger(__name__)


def trim(topic: Topic, segment: int, now: float) -> None:
    """Forget what every durable subscription of a topic has acknowledged and its namespace's retention lets go.

    As Pulsar keeps a ledger that is being written, entries stay while their segment is: a consumer that seeks back a
    little finds them. Where there is no subscription at all, entries stay for ten minutes.
    """
    entries = topic.entries
    if entries.first == entries.end:
        return
    limit = min(entries.sealed_before(segment), topic.visible)
    if limit > entries.first and not topic.durable_subscriptions:
        limit = min(limit, topic.entry_at_time(int((now - _UNREAD_GRACE) * 1000)))
    limit = min(limit, _retained_from(topic, limit, now))
    if limit <= entries.first:
        return
    for start, end in topic.acknowledged():
        if start <= entries.first:
            entries.drop_before(min(end, limit))
        else:
            entries.forget(start, min(end, limit))


def _retained_from(topic: Topic, limit: int, now: float) -> int:
    """Return the first entry that retention keeps: one that is both young enough and within the size."""
    retention, first = topic.policies.retention, topic.entries.first
    if retention.nothing or limit <= first:
        return limit
    young = first if retention.seconds is None else topic.entry_at_time(int((now - retention.seconds) * 1000))
    within = first
    if retention.bytes is not None:
        excess = topic.entries.bytes_of(first, topic.visible) - retention.bytes
        while excess > 0 and within < limit:
            excess -= topic.entries.bytes_of(within, within + 1)
            within += 1
    return max(young, within)


def expire(topic: Topic, now: float) -> None:
    """Acknowledge what is older than the namespace's time to live, for every durable subscription."""
    if topic.policies.ttl_seconds and topic.entries.first < topic.visible:
        entry = topic.entry_at_time(int((now - topic.policies.ttl_seconds) * 1000))
        for subscription in topic.durable_subscriptions:
            if subscription.mark < entry:
                subscription.skip_to(entry)


class Reclaimer:
    """Runs over all topics now and then; `topics` gives them."""

    def __init__(self, journal: Journal, topics: Callable[[], Iterable[Topic]]) -> None:
        self._journal = journal
        self._topics = topics

    async def run(self) -> None:
        """Trim every topic, delete what is empty, and move the rest of one segment that is mostly garbage."""
        now = time.time()
        for topic in list(self._topics()):
            expire(topic, now)
            topic.enforce_quota(now)
            trim(topic, self._journal.segment, now)
        self._delete_empty()
        sparse = self._sparsest()
        if sparse is not None:
            await self._empty(sparse)
            self._delete_empty()

    def _delete_empty(self) -> None:
        for segment in self._journal.sealed:
            if self._journal.live.get(segment, 0) <= 0:
                self._journal.delete(segment)

    def _sparsest(self) -> int | None:
        """Return the segment with the smallest part that is wanted, when half of the whole journal is not."""
        sealed = self._journal.sealed
        live = self._journal.live
        if len(sealed) < 2 or sum(live.get(each, 0) for each in sealed) > _GARBAGE * sum(sealed.values()):
            return None
        return min(sealed, key=lambda each: live.get(each, 0) / max(sealed[each], 1))

    async def _empty(self, segment: int) -> None:
        """Write the wanted entries of a segment again; their old places hold until the new ones are durable."""
        for topic in list(self._topics()):
            numbers = sorted({*topic.entries.within(segment), *topic.compacted.within(segment)})
            while numbers:
                numbers = await self._move_some(topic, numbers)

    async def _move_some(self, topic: Topic, numbers: list[int]) -> list[int]:
        moved: list[tuple[int, int, int]] = []
        size = 0
        for done, number in enumerate(numbers):
            if size >= _PART:
                numbers = numbers[done:]
                break
            data, count = self._wanted(topic, number)
            if data is not None:
                moved.append((number, self._journal.append(topic.id, number, [count], [data], None)[0], len(data)))
                size += len(data)
        else:
            numbers = []
        await self._journal.settled()
        for number, where, length in moved:
            topic.moved(number, where, length)
        return numbers

    def _wanted(self, topic: Topic, number: int) -> tuple[bytes | None, int]:
        try:
            return topic.stored(number)
        except DamagedError as error:
            logger.error("entry %d of %s is lost: %s", number, topic.name, error)  # noqa: TRY400
            topic.entries.forget(number, number + 1)
            return None, 0
