"""A subscription: its cursor, its consumers and the way it dispatches."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from magnetar_broker.errors import BusyError, ConsumerBusyError
from magnetar_broker.topics.consumer import Consumer, Delivery
from magnetar_broker.topics.cursor import Cursor
from magnetar_broker.topics.dispatch import EXCLUSIVE, FAILOVER, KEY_SHARED, KIND_NAMES, Dispatcher
from magnetar_broker.topics.dispatch_key_shared import KeySharedDispatcher
from magnetar_broker.topics.dispatch_shared import SharedDispatcher
from magnetar_broker.topics.dispatch_single import SingleDispatcher
from magnetar_broker.topics.entries import Entries


class TopicView(Protocol):
    """What a subscription reads of its topic."""

    id: int
    partition: int
    entries: Entries
    visible: int

    def compacted_from(self, entry: int) -> int:
        """Return the first entry at or after `entry` that compaction kept; itself beyond the compacted part."""


class Subscription:
    """One subscription of a topic; `changed` is called when its cursor moved and it is durable."""

    def __init__(
        self, topic: TopicView, name: str, cursor: Cursor, *, durable: bool, changed: Callable[["Subscription"], None]
    ) -> None:
        self.name = name
        self.durable = durable
        self.cursor = cursor
        self.consumers: list[Consumer] = []
        self.dispatcher: Dispatcher | None = None
        self.delivered = 0
        self.properties: dict[str, str] = {}
        self._topic = topic
        self._changed = changed

    @property
    def kind_name(self) -> str | None:
        """The type in Pulsar's spelling, None while nobody has subscribed."""
        return KIND_NAMES[self.dispatcher.kind] if self.dispatcher else None

    @property
    def backlog(self) -> int:
        """How many messages are not acknowledged; a batch counts until all of it is."""
        entries, cursor = self._topic.entries, self.cursor
        return entries.messages(cursor.mark, self._topic.visible) - sum(
            entries.count(entry) for entry in cursor.beyond if entries.first <= entry < self._topic.visible
        )

    def add(self, consumer: Consumer) -> None:
        """Take a consumer in. Raises ConsumerBusyError."""
        if self.dispatcher is None or not self.consumers:
            if self.dispatcher is not None:
                self.dispatcher.close()
            self.dispatcher = self._dispatcher(consumer.kind)
        if self.dispatcher.kind != consumer.kind:
            raise ConsumerBusyError(f"Subscription is of different type: {self.kind_name}")
        self.dispatcher.add(consumer)
        self.consumers.append(consumer)

    def _dispatcher(self, kind: int) -> Dispatcher:
        if kind in {EXCLUSIVE, FAILOVER}:
            return SingleDispatcher(self, kind)
        return KeySharedDispatcher(self) if kind == KEY_SHARED else SharedDispatcher(self)

    def remove(self, consumer: Consumer) -> None:
        """Let a consumer go."""
        if consumer in self.consumers:
            self.consumers.remove(consumer)
            assert self.dispatcher is not None
            self.dispatcher.remove(consumer)
            self.dispatch()

    def dispatch(self) -> None:
        """Send what can be sent."""
        if self.dispatcher is not None and self.consumers:
            self.dispatcher.dispatch()

    def acknowledge(self, entry: int, ack_set: Iterable[int] = ()) -> None:
        """Acknowledge an entry or some messages of its batch."""
        if self.cursor.acknowledge(entry, ack_set) and self.dispatcher is not None:
            self.dispatcher.acknowledged(entry)
        self._changed(self)

    def acknowledge_through(self, entry: int, ack_set: Sequence[int] = ()) -> None:
        """Acknowledge all entries before one, and of it the whole or what its batch's words clear."""
        for consumer in self.consumers:
            for pending in [number for number in consumer.pending if number < entry]:
                del consumer.pending[pending]
        self.cursor.reset_if_later(min(entry, self._topic.visible))
        if entry < self._topic.visible:
            self.acknowledge(entry, ack_set)
        self._changed(self)

    def redeliver(self, consumer: Consumer, entries: Iterable[int] | None) -> None:
        """Deliver again what a consumer has."""
        if self.dispatcher is not None:
            self.dispatcher.redeliver(consumer, entries)
            self.dispatch()

    def seek(self, entry: int) -> None:
        """Put the cursor at an entry and make every consumer subscribe anew."""
        self.cursor.reset(max(entry, self._topic.entries.first))
        for consumer in list(self.consumers):
            self.consumers.remove(consumer)
            assert self.dispatcher is not None
            self.dispatcher.remove(consumer)
            consumer.link.close_consumer(consumer.id)
        if self.dispatcher is not None:
            self.dispatcher.reset()
        self._changed(self)

    def demand_unused(self) -> None:
        """Raise BusyError while somebody consumes."""
        if self.consumers:
            raise BusyError(f"Subscription {self.name} has active connected consumers")

    def close(self) -> None:
        """Cancel timers and make the consumers subscribe anew, elsewhere or to what replaces this."""
        if self.dispatcher is not None:
            self.dispatcher.close()
        for consumer in list(self.consumers):
            consumer.link.close_consumer(consumer.id)
        self.consumers.clear()

    # What dispatchers ask for.

    @property
    def mark(self) -> int:
        """The first entry that is not acknowledged."""
        return max(self.cursor.mark, self._topic.entries.first)

    @property
    def partition(self) -> int:
        """The number of the topic's partition, -1 when it is none."""
        return self._topic.partition

    def next_from(self, position: int, *, compacted: bool) -> int | None:
        """Return the first deliverable entry at or after a position."""
        entry = max(position, self._topic.entries.first)
        while entry < self._topic.visible:
            if compacted and (kept := self._topic.compacted_from(entry)) != entry:
                entry = kept
            elif self.cursor.done(entry):
                entry += 1
            else:
                return entry
        return None

    def done(self, entry: int) -> bool:
        """Whether an entry is acknowledged or was dropped."""
        return entry < self._topic.entries.first or self.cursor.done(entry)

    def data(self, entry: int) -> bytes:
        """Return an entry's bytes."""
        return self._topic.entries.read(entry)

    def deliver(self, consumer: Consumer, entry: int, redeliveries: int) -> None:
        """Send an entry; permits may go below nothing, for they count messages and an entry is a batch."""
        count = self._topic.entries.count(entry)
        consumer.permits -= count
        consumer.delivered += count
        self.delivered += count
        consumer.pending[entry] = count
        words = self.cursor.partial.get(entry, ())
        delivery = Delivery(self._topic.id, self._topic.partition, entry, self.data(entry), redeliveries, words)
        consumer.link.deliver(consumer, delivery)
