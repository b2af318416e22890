"""A subscription: its cursor, its consumers and the way it dispatches."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from magnetar_broker.errors import BusyError, ConsumerBusyError, DamagedError
from magnetar_broker.topics.compacted import Compacted
from magnetar_broker.topics.consumer import Consumer, Delivery
from magnetar_broker.topics.cursor import Cursor
from magnetar_broker.topics.dispatch import EXCLUSIVE, FAILOVER, KEY_SHARED, KIND_NAMES, Dispatcher
from magnetar_broker.topics.dispatch_key_shared import KeySharedDispatcher
from magnetar_broker.topics.dispatch_shared import SharedDispatcher
from magnetar_broker.topics.dispatch_single import SingleDispatcher
from magnetar_broker.topics.entries import Entries
from magnetar_broker.topics.meter import Meter
from magnetar_broker.wire.frames import may_have_delivery_time, metadata_of
from magnetar_broker.wire.proto.pulsar_api import MessageMetadata

logger = logging.getLogger(__name__)


class TopicView(Protocol):
    """What a subscription reads of its topic."""

    id: int
    partition: int
    entries: Entries
    compacted: Compacted
    visible: int
    keeps: bool


class Subscription:
    """One subscription of a topic; `changed` is called when its cursor moved and it is durable."""

    __slots__ = (
        "_changed",
        "_topic",
        "consumers",
        "cursor",
        "dispatcher",
        "durable",
        "name",
        "properties",
        "sent",
    )

    def __init__(
        self, topic: TopicView, name: str, cursor: Cursor, *, durable: bool, changed: Callable[["Subscription"], None]
    ) -> None:
        self.name = name
        self.durable = durable
        self.cursor = cursor
        self.consumers: list[Consumer] = []
        self.dispatcher: Dispatcher | None = None
        self.sent = Meter()
        self.properties: dict[str, str] = {}
        self._topic = topic
        self._changed = changed

    # Asked.

    @property
    def kind_name(self) -> str | None:
        """The type in Pulsar's spelling, None while nobody has subscribed."""
        return KIND_NAMES[self.dispatcher.kind] if self.dispatcher else None

    @property
    def backlog(self) -> int:
        """How many messages are not acknowledged; a batch counts until all of it is."""
        entries, end = self._topic.entries, self._topic.visible
        done = sum(entries.messages(start, min(stop, end)) for start, stop in self.cursor.beyond)
        return entries.messages(self.mark, end) - done

    @property
    def backlog_bytes(self) -> int:
        """The bytes from the first entry that is not acknowledged on."""
        return self._topic.entries.bytes_of(self.mark, self._topic.visible)

    # Consumers.

    def add(self, consumer: Consumer) -> None:
        """Take a consumer in. Raises ConsumerBusyError, ConsumerAssignError."""
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

    # Acknowledging.

    def acknowledge(self, entry: int, ack_set: Iterable[int] = (), consumer: Consumer | None = None) -> None:
        """Acknowledge an entry or some messages of its batch."""
        if entry >= self._topic.visible:
            return
        if self.cursor.acknowledge(entry, ack_set) and self.dispatcher is not None:
            self.dispatcher.acknowledged(entry, consumer)
        self._changed(self)

    def acknowledge_through(self, entry: int, ack_set: Sequence[int] = ()) -> None:
        """Acknowledge all entries before one, and of it the whole or what its batch's words clear."""
        self.skip_to(min(entry, self._topic.visible))
        self.acknowledge(entry, ack_set)

    def skip_to(self, entry: int) -> None:
        """Acknowledge all entries before one; consumers stay connected."""
        self.cursor.advance(entry)
        if self.dispatcher is not None:
            self.dispatcher.acknowledged_before(entry)
        self._changed(self)

    def skip_messages(self, count: int) -> None:
        """Acknowledge entries until they have held a number of messages."""
        entry = max(self.mark, self._topic.entries.first)
        while count > 0 and entry < self._topic.visible:
            if not self.cursor.done(entry):
                count -= self._topic.entries.count(entry)
            entry += 1
        self.skip_to(entry)

    def redeliver(self, consumer: Consumer, entries: Iterable[int] | None) -> None:
        """Deliver again what a consumer has."""
        if self.dispatcher is not None:
            self.dispatcher.redeliver(consumer, entries)
            self.dispatch()

    def seek(self, entry: int) -> None:
        """Put the cursor at an entry and make every consumer subscribe anew."""
        self.cursor.reset(entry)
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
        return self.cursor.mark

    @property
    def partition(self) -> int:
        """The number of the topic's partition, -1 when it is none."""
        return self._topic.partition

    def next_from(self, position: int, *, compacted: bool) -> int | None:
        """Return the first deliverable entry at or after a position."""
        if compacted and position < self._topic.compacted.horizon:
            kept = self._topic.compacted.next_from(max(position, self.cursor.mark))
            if kept < self._topic.compacted.horizon:
                return kept
            position = kept
        entries, cursor = self._topic.entries, self.cursor
        entry = cursor.next_open(max(position, entries.first))
        while entry < self._topic.visible:
            there = entries.next_there(entry)
            if there == entry:
                return entry
            # What is gone can't be acknowledged by anyone else, and would hold the cursor back for ever.
            self._pass(entry, min(there, self._topic.visible))
            entry = cursor.next_open(there)
        return None

    def next_run(self, position: int, *, compacted: bool) -> tuple[int, int] | None:
        """Return the first deliverable entry at or after a position, and an end before which all are deliverable."""
        start, entries = self.next_from(position, compacted=compacted), self._topic.entries
        if start is None:
            return None
        if start < entries.first or (compacted and start < self._topic.compacted.horizon):
            return start, start + 1
        return start, self.cursor.open_until(start, min(entries.there_until(start), self._topic.visible))

    def _pass(self, start: int, end: int) -> None:
        if self.cursor.acknowledge_range(start, end):
            self._changed(self)

    def done(self, entry: int) -> bool:
        """Whether an entry is acknowledged or was dropped."""
        return entry < self._topic.entries.first or self.cursor.done(entry)

    def data(self, entry: int) -> bytes | None:
        """Return an entry's bytes; None, and it counts as acknowledged, when the disk has lost it."""
        try:
            if entry < self._topic.entries.first or self._topic.entries.gone(entry):
                return self._topic.compacted.read(entry)
            return self._topic.entries.read(entry)
        except DamagedError as error:
            self._lost(entry, error)
            return None

    def _lost(self, entry: int, error: DamagedError) -> None:
        logger.error("entry %d of topic %d is skipped: %s", entry, self._topic.id, error)
        self.acknowledge(entry)

    def metadata(self, entry: int) -> MessageMetadata | None:
        """Return an entry's metadata, None when the disk has lost it."""
        data = self.data(entry)
        return None if data is None else metadata_of(data)

    def may_be_delayed(self, entry: int) -> bool:
        """Whether an entry's metadata may say when it is to be delivered, and the topic can wait for that."""
        if not self._topic.keeps:
            return False
        data = self.data(entry)
        return data is not None and may_have_delivery_time(data)

    def deliver(self, consumer: Consumer, entry: int, redeliveries: int) -> int:
        """Send an entry; permits may go below nothing, for they count messages and an entry is a batch."""
        data = self.data(entry)
        if data is None:
            return 0
        words: Sequence[int] = self.cursor.partial.get(entry, ())
        if consumer.read_compacted and not words and entry < self._topic.compacted.horizon:
            words = self._topic.compacted.words.get(entry, ())
        if entry >= self._topic.entries.first:
            count = self._topic.entries.count(entry)
        else:
            count = metadata_of(data).num_messages_in_batch
        self._send(consumer, count, Delivery(self._topic.id, self._topic.partition, entry, [data], redeliveries, words))
        return count

    def deliver_some(
        self, consumer: Consumer, start: int, end: int, messages: int, *, delayed: bool = True
    ) -> tuple[int, list[int]]:
        """Send entries of a run for the first time, enough to hold some messages if so many are.

        Returns where the next one is, and the counts of those that were sent. Without `delayed` it stops at the first that
        may have to wait.
        """
        if end == start + 1:
            count = self.deliver(consumer, start, 0)
            return end, [count] if count else []
        try:
            entries, counts = self._topic.entries.read_some(start, end, messages)
        except DamagedError as error:
            self._lost(start, error)
            return start + 1, []
        if not delayed:
            undelayed = next((at for at, each in enumerate(entries) if may_have_delivery_time(each)), len(entries))
            entries, counts = entries[:undelayed], counts[:undelayed]
        if entries:
            self._send(consumer, sum(counts), Delivery(self._topic.id, self._topic.partition, start, entries))
        return start + len(entries), counts

    def _send(self, consumer: Consumer, count: int, delivery: Delivery) -> None:
        size = sum(map(len, delivery.entries))
        consumer.permits -= count
        for meter in (consumer.sent, self.sent):
            meter.messages += count
            meter.bytes += size
        consumer.link.deliver(consumer, delivery)
