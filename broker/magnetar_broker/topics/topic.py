"""One topic: its entries, producers, subscriptions, schemas and what compaction left of it."""

import asyncio
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field

from magnetar_broker.errors import NotFoundError, SubscriptionMissingError
from magnetar_broker.names import TopicName
from magnetar_broker.store.journal import ENTRY, Journal
from magnetar_broker.topics import compaction
from magnetar_broker.topics.cursor import Cursor
from magnetar_broker.topics.entries import Cache, Entries, Place
from magnetar_broker.topics.producers import Producers
from magnetar_broker.topics.schemas import Schemas
from magnetar_broker.topics.subscription import Subscription
from magnetar_broker.wire.frames import metadata_of


@dataclass
class Counters:
    """What came in and went out since the broker's start."""

    messages_in: int = 0
    bytes_in: int = 0


@dataclass
class Compaction:
    """The entries before `horizon` that compaction kept, in order."""

    horizon: int = 0
    kept: list[int] = field(default_factory=list)


class Topic:
    """A topic; `visible` is the end of what is durable: nothing beyond it is delivered or receipted.

    `save` keeps a setting of the topic: a key and a JSON value, None to delete it.
    """

    def __init__(
        self, name: TopicName, topic_id: int, journal: Journal, cache: Cache, save: Callable[[str, object], None]
    ) -> None:
        self.name = name
        self.id = topic_id
        self.partition = name.partition
        self.entries = Entries(topic_id, journal, cache)
        self.visible = 0
        self.subscriptions: dict[str, Subscription] = {}
        self.schemas = Schemas()
        self.compaction = Compaction()
        self.counters = Counters()
        self.producers = Producers(None, lambda epoch: save("epoch", epoch))
        self._journal = journal
        self._save = save
        self._dirty: set[Subscription] = set()
        self._dispatching = False

    def publish(self, entry: bytes, count: int, done: Callable[[int], None]) -> None:
        """Append an entry; `done` gets its number once it is durable, and the subscriptions get the entry then."""
        number = self.entries.end

        def durable() -> None:
            self.visible = number + 1
            done(number)

        segment, position = self._journal.append(ENTRY, self.id, number, count, entry, done=durable)
        self.entries.add(Place(segment, position, len(entry)), count, entry)
        self.counters.messages_in += count
        self.counters.bytes_in += len(entry)

    def replayed(self, entry: int, place: Place, count: int) -> None:
        """Take an entry in that the journal holds."""
        self.entries.restart_at(entry)
        self.entries.add(place, count)
        self.visible = self.entries.end

    def dispatch_soon(self) -> None:
        """Let every subscription send what it can, once for all that became durable together."""
        if not self._dispatching:
            self._dispatching = True
            asyncio.get_running_loop().call_soon(self.dispatch)

    def dispatch(self) -> None:
        """Let every subscription send what it can."""
        self._dispatching = False
        for subscription in list(self.subscriptions.values()):
            subscription.dispatch()

    def subscribe(self, name: str, *, durable: bool, start: int, create: bool = True) -> Subscription:
        """Return a subscription, made at the entry `start` where there is none. Raises SubscriptionMissingError."""
        known = self.subscriptions.get(name)
        if known is not None:
            return known
        if not create:
            raise SubscriptionMissingError(f"Subscription {name} not found on {self.name}")
        made = Subscription(self, name, Cursor(start), durable=durable, changed=self.cursor_changed)
        self.subscriptions[name] = made
        if durable:
            self._save(f"cursor/{name}", made.cursor.to_json())
        return made

    def subscription(self, name: str) -> Subscription:
        """Return a subscription. Raises SubscriptionMissingError."""
        return self.subscribe(name, durable=True, start=0, create=False)

    def restore_subscription(self, name: str, cursor: Cursor) -> None:
        """Take a subscription in that the journal holds."""
        made = Subscription(self, name, cursor, durable=True, changed=self.cursor_changed)
        self.subscriptions[name] = made

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
            self._save("dirty", None)

    def write_cursors(self) -> None:
        """Write the cursors that changed."""
        dirty, self._dirty = self._dirty, set()
        for subscription in dirty:
            self._save(f"cursor/{subscription.name}", subscription.cursor.to_json())

    def compact(self) -> None:
        """Keep the last value of each key of what is durable."""
        kept = [number for number in self.compaction.kept if number >= self.entries.first]
        fresh = range(max(self.compaction.horizon, self.entries.first), self.visible)
        self.compaction = Compaction(self.visible, compaction.keep([*kept, *fresh], self.entries.read))
        self._save("compaction", {"horizon": self.compaction.horizon, "kept": self.compaction.kept})

    def compacted_from(self, entry: int) -> int:
        """Return the first entry at or after `entry` that compaction kept; itself beyond the compacted part."""
        if entry >= self.compaction.horizon:
            return entry
        at = bisect_left(self.compaction.kept, entry)
        return self.compaction.kept[at] if at < len(self.compaction.kept) else self.compaction.horizon

    def entry_at_time(self, publish_time_ms: int) -> int:
        """Return the first entry that was published at or after a time."""
        low, high = self.entries.first, self.visible
        while low < high:
            middle = (low + high) // 2
            if metadata_of(self.entries.read(middle)).publish_time < publish_time_ms:
                low = middle + 1
            else:
                high = middle
        return low

    def last(self) -> int:
        """Return the number of the last durable entry, -1 when there is none."""
        return self.visible - 1 if self.visible > self.entries.first else -1

    def message(self, entry: int) -> bytes:
        """Return a durable entry's bytes. Raises NotFoundError."""
        if not self.entries.first <= entry < self.visible:
            raise NotFoundError("Message not found")
        return self.entries.read(entry)

    def drop_acknowledged(self) -> None:
        """Forget what every subscription has acknowledged."""
        marks = [subscription.cursor.mark for subscription in self.subscriptions.values() if subscription.durable]
        if marks:
            self.entries.drop_before(min(*marks, self.visible) if len(marks) > 1 else min(marks[0], self.visible))

    def close(self) -> None:
        """Disconnect everyone."""
        for subscription in self.subscriptions.values():
            subscription.close()
        for producer in list(self.producers.all.values()):
            producer.link.close_producer(producer.id)
        self.producers.all.clear()
