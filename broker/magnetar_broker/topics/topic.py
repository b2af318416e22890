"""One topic: its entries, producers, subscriptions, schemas and what compaction left of it."""

import asyncio
import time
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Many
from functools import reduce
from typing import Protocol

from magnetar_broker.errors import DamagedError, NotAllowedError, NotFoundError, StorageError, SubscriptionMissingError
from magnetar_broker.names import TopicName
from magnetar_broker.policies import EVICTION, TopicPolicies
from magnetar_broker.store.columns import Run
from magnetar_broker.store.journal import Journal
from magnetar_broker.topics import compaction
from magnetar_broker.topics.compacted import Compacted
from magnetar_broker.topics.cursor import Cursor
from magnetar_broker.topics.deduplication import Deduplication, Sequence
from magnetar_broker.topics.entries import Cache, Entries
from magnetar_broker.topics.meter import Meter
from magnetar_broker.topics.producers import Producers
from magnetar_broker.topics.ranges import Ranges
from magnetar_broker.topics.schemas import Schemas
from magnetar_broker.topics.subscription import Subscription
from magnetar_broker.wire.frames import metadata_of


class Publisher(Protocol):
    """Who published entries, and hears what became of them."""

    def receipted(self, first: int) -> None:
        """Take note that they are durable; their numbers are `first` and those that follow."""

    def refused(self, error: StorageError) -> None:
        """Take note that they are lost: they are to be sent again."""


class Topic:
    """A topic; `visible` is the end of what is durable: nothing beyond it is delivered or receipted.

    `save` keeps a setting of the topic: a key and a JSON value, None to delete it; `dirty` asks for `write_cursors` soon.
    `keeps` tells whether entries stay after they were dispatched.
    """

    keeps = True

    __slots__ = (
        "_cache",
        "_dirty",
        "_dispatching",
        "_journal",
        "_mark_dirty",
        "_save",
        "compacted",
        "compacted_at",
        "deduplication",
        "entries",
        "id",
        "name",
        "partition",
        "policies",
        "producers",
        "received",
        "schemas",
        "subscriptions",
        "visible",
    )

    def __init__(
        self,
        name: TopicName,
        topic_id: int,
        journal: Journal,
        cache: Cache,
        *,
        policies: TopicPolicies,
        save: Callable[[str, object], None],
        dirty: Callable[["Topic"], None],
    ) -> None:
        self.name = name
        self.id = topic_id
        self.partition = name.partition
        self._journal, self._cache = journal, cache
        self.entries = self._make_entries()
        self.compacted = Compacted(journal)
        self.visible = 0
        self.subscriptions: dict[str, Subscription] = {}
        self.schemas = Schemas()
        self.policies = policies
        self.deduplication = Deduplication() if policies.deduplication else None
        self.received = Meter()
        self.compacted_at = 0.0
        self.producers = Producers(None, self._save_epoch)
        self._save = save
        self._mark_dirty = dirty
        self._dirty: set[Subscription] = set()
        self._dispatching = False

    def _make_entries(self) -> Entries:
        return Entries(self.id, self._journal, self._cache)

    def _save_epoch(self, epoch: int) -> None:
        self._save("epoch", epoch)

    def set_policies(self, policies: TopicPolicies) -> None:
        """Follow the namespace's policies from now on."""
        if policies.deduplication and self.deduplication is None:
            self.deduplication = Deduplication()
        elif not policies.deduplication:
            self.deduplication = None
        self.policies = policies

    # Publishing.

    def publish(
        self, entries: Many[bytes], counts: Many[int], publisher: Publisher, sequences: Many[Sequence] = ()
    ) -> None:
        """Append entries, with how many messages each holds, to be delivered when they are durable.

        `sequences` are those that `deduplication` has taken. Raises StorageError while the disk refuses.
        """
        try:
            self.entries.append(entries, counts, _Appended(self, self.entries.end, len(entries), publisher, sequences))
        except StorageError:
            if self.deduplication is not None:
                self.deduplication.roll_back()
            raise
        self.received.messages += sum(counts)
        self.received.bytes += sum(map(len, entries))

    def durable(self, end: int, sequences: Many[Sequence]) -> None:
        """Take note that entries are on disk: subscriptions get them, together with all that become durable with them."""
        self.visible = end
        if self.deduplication is not None:
            for sequence in sequences:
                self.deduplication.durable(sequence)
        if not self._dispatching:
            self._dispatching = True
            asyncio.get_running_loop().call_soon(self.dispatch)

    def roll_back(self) -> None:
        """Forget what was appended and never became durable."""
        self.entries.cut(self.visible)
        if self.deduplication is not None:
            self.deduplication.roll_back()

    def dispatch(self) -> None:
        """Let every subscription send what it can."""
        self._dispatching = False
        for subscription in list(self.subscriptions.values()):
            subscription.dispatch()

    # Subscriptions.

    def subscribe(
        self, name: str, *, durable: bool, start: int, properties: dict[str, str] | None = None
    ) -> Subscription:
        """Return a subscription, made at the entry `start` where there is none. Raises NotAllowedError."""
        known = self.subscriptions.get(name)
        if known is not None:
            if known.durable != durable:
                raise NotAllowedError(
                    f"{'Durable' if known.durable else 'Non-durable'} subscription with the same name already exists."
                )
            return known
        made = Subscription(self, name, Cursor(start), durable=durable, changed=self.cursor_changed)
        made.properties = properties or {}
        self.subscriptions[name] = made
        if durable:
            self._save(f"cursor/{name}", self._subscription_json(made))
        return made

    def subscription(self, name: str) -> Subscription:
        """Return a subscription. Raises SubscriptionMissingError."""
        known = self.subscriptions.get(name)
        if known is None:
            raise SubscriptionMissingError(f"Subscription {name} not found on {self.name}")
        return known

    def unsubscribe(self, name: str, *, force: bool) -> None:
        """Delete a subscription. Raises BusyError while it has consumers, unless it is forced."""
        subscription = self.subscription(name)
        if not force:
            subscription.demand_unused()
        subscription.close()
        del self.subscriptions[name]
        self._dirty.discard(subscription)
        if subscription.durable:
            self._save(f"cursor/{name}", None)

    def cursor_changed(self, subscription: Subscription) -> None:
        """Note that a cursor is to be written soon."""
        if subscription.durable:
            self._dirty.add(subscription)
            self._mark_dirty(self)

    def write_cursors(self) -> None:
        """Write what changed of the cursors."""
        dirty, self._dirty = self._dirty, set()
        for subscription in dirty:
            self._save(f"acks/{subscription.name}", subscription.cursor.changes())

    def set_properties(self, name: str, properties: dict[str, str]) -> None:
        """Replace a subscription's properties."""
        subscription = self.subscription(name)
        subscription.properties = properties
        self._save(f"cursor/{name}", self._subscription_json(subscription))

    def _subscription_json(self, subscription: Subscription) -> dict[str, object]:
        return {**subscription.cursor.to_json(), "properties": subscription.properties}

    @property
    def durable_subscriptions(self) -> list[Subscription]:
        """The subscriptions that hold entries back."""
        return [subscription for subscription in self.subscriptions.values() if subscription.durable]

    # Entries.

    def compact(self) -> None:
        """Keep the last value of each key of what is durable."""
        kept = [(number, self.compacted.words.get(number, ())) for number in self.compacted.kept]
        fresh = [(number, ()) for number in range(max(self.compacted.horizon, self.entries.first), self.visible)]
        self.compacted.replace(self.visible, compaction.keep([*kept, *fresh], self._read), self.entries)
        self.compacted_at = time.time()
        self._save("compaction", self.compacted.to_json())

    def _read(self, entry: int) -> bytes | None:
        try:
            if entry < self.entries.first or self.entries.gone(entry):
                return self.compacted.read(entry)
            return self.entries.read(entry)
        except DamagedError:
            return None

    def earliest(self, *, compacted: bool = False) -> int:
        """Return the first entry that there is."""
        return 0 if compacted and self.compacted.horizon else self.entries.first

    def last(self, *, compacted: bool = False) -> int:
        """Return the number of the last durable entry, -1 when there is none."""
        if compacted and self.visible and self.visible <= self.compacted.horizon:
            return self.compacted.kept[-1] if self.compacted.kept else -1
        number = self.visible - 1
        while number >= self.entries.first and self.entries.gone(number):
            number -= 1
        return number if number >= self.entries.first else -1

    def entry_at_time(self, publish_time_ms: int) -> int:
        """Return the first entry that was published at or after a time."""
        low, high = self.entries.first, self.visible
        while low < high:
            middle = (low + high) // 2
            if self._published_before(middle, high, publish_time_ms):
                low = middle + 1
            else:
                high = middle
        return low

    def _published_before(self, number: int, end: int, publish_time_ms: int) -> bool:
        """Whether an entry, or the next one that is there, was published before a time."""
        while number < end:
            data = self._read(number)
            if data is not None:
                return metadata_of(data).publish_time < publish_time_ms
            number += 1
        return False

    def message(self, entry: int) -> bytes:
        """Return a durable entry's bytes. Raises NotFoundError, DamagedError."""
        if not self.entries.first <= entry < self.visible or self.entries.gone(entry):
            kept = self.compacted.read(entry)
            if kept is None:
                raise NotFoundError("Message not found")
            return kept
        return self.entries.read(entry)

    def stored(self, number: int) -> tuple[bytes | None, int]:
        """Return an entry's bytes and its count of messages; None when nobody wants it any more. Raises DamagedError."""
        if number >= self.entries.first and not self.entries.gone(number):
            return self.entries.read(number), self.entries.count(number)
        data = self.compacted.read(number)
        return data, 0 if data is None else metadata_of(data).num_messages_in_batch

    def moved(self, number: int, where: int, size: int) -> None:
        """Note that an entry stands elsewhere, for whoever still wants it."""
        self.compacted.move(number, where, size)
        if number >= self.entries.first and not self.entries.gone(number):
            self.entries.move(number, where, size)

    # Quotas.

    def enforce_quota(self, now: float) -> None:
        """Where the backlog is beyond the quota, close the producers or let the slowest subscriptions skip."""
        quota = self.policies.quota
        if not self.over_quota(now):
            return
        if quota.policy != EVICTION:
            # Their clients make them anew, and are refused until there is room.
            self.producers.close_all()
            return
        start = self.entries.first if quota.seconds is None else self.entry_at_time(int((now - quota.seconds) * 1000))
        if quota.bytes is not None:
            excess = self.entries.bytes_of(start, self.visible) - quota.bytes
            while excess > 0:
                excess -= self.entries.bytes_of(start, start + 1)
                start += 1
        for subscription in self.durable_subscriptions:
            if subscription.mark < start:
                subscription.skip_to(start)

    def over_quota(self, now: float) -> bool:
        """Whether the backlog is larger or older than the namespace allows."""
        quota, oldest = self.policies.quota, self.oldest_mark
        if oldest >= self.visible:
            return False
        if quota.bytes is not None and self.entries.bytes_of(oldest, self.visible) > quota.bytes:
            return True
        return quota.seconds is not None and self.entry_at_time(int((now - quota.seconds) * 1000)) > oldest

    @property
    def oldest_mark(self) -> int:
        """The first entry that some durable subscription has not acknowledged; the end where there is none."""
        marks = [subscription.mark for subscription in self.durable_subscriptions]
        return max(min(marks, default=self.visible), self.entries.first)

    def acknowledged(self) -> Ranges:
        """Return what every durable subscription has acknowledged; all that is durable where there is none."""
        everything = Ranges([(self.entries.first, self.visible)])
        marks = []
        for subscription in self.durable_subscriptions:
            cursor = subscription.cursor
            marks.append(Ranges([(self.entries.first, min(cursor.mark, self.visible)), *cursor.beyond]))
        return reduce(Ranges.common, marks, everything)

    # The journal.

    def replay_run(self, run: Run) -> None:
        """Take in entries that the journal holds."""
        if self.compacted.kept:
            for number, where, size in zip(run.numbers, run.wheres, run.sizes, strict=True):
                self.compacted.move(number, where, size)
        self.entries.replay_run(run)
        self.visible = max(self.visible, self.entries.end)
        if self.deduplication is not None:
            for number in run.numbers:
                if (data := self._read(number)) is not None:
                    self.deduplication.durable(sequence_of(data))

    def replay_setting(self, key: str, value: object) -> None:
        """Take in a setting that the journal holds."""
        kind, _, rest = key.partition("/")
        if kind == "cursor":
            self.subscriptions.pop(rest, None)
            if isinstance(value, dict):
                made = Subscription(self, rest, Cursor.from_json(value), durable=True, changed=self.cursor_changed)
                made.properties = value.get("properties", {})
                self.subscriptions[rest] = made
        elif kind == "acks" and isinstance(value, dict):
            if rest in self.subscriptions:
                self.subscriptions[rest].cursor.apply(value)
        elif kind == "schemas" and isinstance(value, list):
            self.schemas = Schemas.from_json(value)
        elif kind == "compaction" and isinstance(value, dict):
            self.compacted.restore(value, self.entries)
        elif kind == "epoch" and isinstance(value, int):
            self.producers.epoch = value
        elif kind == "sequences" and isinstance(value, dict):
            self.deduplication = Deduplication(value) if self.policies.deduplication else None
        elif kind == "range" and isinstance(value, list):
            self.entries.restart(*value)
            self.visible = max(self.visible, self.entries.end)

    def settings(self) -> Iterator[tuple[str, object]]:
        """Yield all settings, for the head of a segment: what compaction kept must stand before the first entry."""
        if self.compacted.horizon:
            yield "compaction", self.compacted.to_json()
        yield "range", [self.entries.first, self.entries.end]
        for subscription in self.durable_subscriptions:
            yield f"cursor/{subscription.name}", self._subscription_json(subscription)
            subscription.cursor.changes()
        if self.schemas.versions:
            yield "schemas", self.schemas.to_json()
        if self.producers.epoch is not None:
            yield "epoch", self.producers.epoch
        if self.deduplication is not None:
            yield "sequences", self.deduplication.to_json()

    def sample(self, seconds: float) -> None:
        """Work out the rates of the time since the last sample."""
        self.received.sample(seconds)
        for subscription in self.subscriptions.values():
            subscription.sent.sample(seconds)
            for consumer in subscription.consumers:
                consumer.sent.sample(seconds)
        for producer in self.producers.all.values():
            producer.sent.sample(seconds)

    def save_schemas(self) -> None:
        """Keep the schemas."""
        self._save("schemas", self.schemas.to_json())

    def close(self) -> None:
        """Disconnect everyone."""
        for subscription in self.subscriptions.values():
            subscription.close()
        self.producers.close_all()

    def discard(self) -> None:
        """Let go of all entries: the topic is deleted."""
        self.close()
        self.entries.drop_before(self.entries.end)
        self.compacted.clear()


class _Appended:
    """Entries on their way to the disk."""

    __slots__ = ("_count", "_first", "_publisher", "_sequences", "_topic")

    def __init__(self, topic: Topic, first: int, count: int, publisher: Publisher, sequences: Many[Sequence]) -> None:
        self._topic = topic
        self._first = first
        self._count = count
        self._publisher = publisher
        self._sequences = sequences

    def durable(self) -> None:
        self._topic.durable(self._first + self._count, self._sequences)
        self._publisher.receipted(self._first)

    def failed(self, error: StorageError) -> None:
        self._publisher.refused(error)


def sequence_of(entry: bytes) -> Sequence:
    """Return the place of an entry among all of its producer."""
    metadata = metadata_of(entry)
    highest = max(metadata.highest_sequence_id, metadata.sequence_id)
    return Sequence(
        metadata.producer_name, metadata.sequence_id, highest, metadata.chunk_id, max(metadata.num_chunks_from_msg, 1)
    )
