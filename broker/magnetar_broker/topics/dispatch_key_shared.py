"""Key_Shared: all messages of a key go to one consumer, in order, also while consumers come and go."""

import contextlib
import heapq
from base64 import b64decode
from collections.abc import Iterable

from magnetar_broker.errors import ConsumerAssignError
from magnetar_broker.topics.consumer import Consumer
from magnetar_broker.topics.delays import Delays
from magnetar_broker.topics.dispatch import KEY_SHARED, UNACKNOWLEDGED_LIMIT, Source
from magnetar_broker.topics.keyhash import RANGE, slot_of

_LOOK_AHEAD = 2000


class KeySharedDispatcher:
    """Divides the range of hashes among the consumers.

    A hash stays with its consumer while that one has an entry of it, sent or waiting: so a key's order holds when others
    come. An entry whose consumer is not ready waits for it, and so do the later ones of that consumer; when 2 000 wait,
    nothing new is read.
    """

    kind = KEY_SHARED

    def __init__(self, source: Source) -> None:
        self._source = source
        self._consumers: list[Consumer] = []
        self._queues: dict[Consumer, list[int]] = {}
        self._position = source.mark
        self._again: list[int] = []
        self._homeless: list[int] = []
        self._waiting = 0
        self._redeliveries: dict[int, int] = {}
        self._slots: dict[int, int] = {}
        self._holders: dict[int, tuple[Consumer, int]] = {}
        self._delays = Delays(self.dispatch)

    @property
    def active(self) -> Consumer | None:
        """No consumer has all the entries."""
        return None

    def add(self, consumer: Consumer) -> None:
        """Take a consumer in. Raises ConsumerAssignError where its fixed ranges meet another's."""
        for other in self._consumers:
            if bool(other.key_ranges) != bool(consumer.key_ranges):
                raise ConsumerAssignError("all consumers of a Key_Shared subscription must use the same mode")
            if any(a <= d and c <= b for a, b in other.key_ranges for c, d in consumer.key_ranges):
                raise ConsumerAssignError("Range conflict with consumer " + other.name)
        self._consumers.append(consumer)
        self._consumers.sort(key=lambda each: each.name)
        self._queues[consumer] = []
        self._waiting -= len(self._homeless)
        for entry in self._homeless:
            self._put_again(entry)
        self._homeless = []

    def remove(self, consumer: Consumer) -> None:
        """Let a consumer go; the others get what it had, sent or waiting."""
        if consumer not in self._queues:
            return
        self._consumers.remove(consumer)
        queue = self._queues.pop(consumer)
        self._waiting -= len(queue)
        for entry in [*queue, *consumer.pending]:
            self._release(entry)
            self._put_again(entry)
        consumer.let_all_go()

    def redeliver(self, consumer: Consumer, entries: Iterable[int] | None) -> None:
        """Deliver entries again, to the same consumer, and count it."""
        mine = [entry for entry in (consumer.pending if entries is None else entries) if entry in consumer.pending]
        consumer.redelivered += len(mine)
        for entry in mine:
            self._redeliveries[entry] = self._redeliveries.get(entry, 0) + 1
            consumer.let_go(entry)
            self._release(entry)
            self._put_again(entry)

    def _put_again(self, entry: int) -> None:
        if not self._source.done(entry):
            heapq.heappush(self._again, entry)

    def acknowledged(self, entry: int, consumer: Consumer | None) -> None:
        """Forget an entry; its hash may move to another consumer when nothing of it is pending."""
        self._redeliveries.pop(entry, None)
        owners = self._consumers if consumer is None else [consumer, *self._consumers]
        if any(each.let_go(entry) for each in owners):
            self._release(entry)

    def acknowledged_before(self, entry: int) -> None:
        """Forget all entries before one."""
        for consumer in self._consumers:
            for pending in [number for number in consumer.pending if number < entry]:
                self.acknowledged(pending, consumer)

    def _hold(self, entry: int, slot: int, consumer: Consumer) -> None:
        _, count = self._holders.get(slot, (consumer, 0))
        self._holders[slot] = consumer, count + 1
        self._slots[entry] = slot

    def _release(self, entry: int) -> None:
        slot = self._slots.pop(entry, None)
        if slot is None or slot not in self._holders:
            return
        holder, count = self._holders[slot]
        if count > 1:
            self._holders[slot] = holder, count - 1
        else:
            del self._holders[slot]

    def reset(self) -> None:
        """Begin again at the mark."""
        self._position = self._source.mark
        self._again, self._homeless, self._waiting = [], [], 0
        for table in (self._redeliveries, self._slots, self._holders):
            table.clear()
        self._delays.clear()
        for consumer in self._consumers:
            self._queues[consumer] = []
            consumer.let_all_go()

    def dispatch(self) -> None:
        """Send what has a ready consumer: what waits, what is to be sent again, then what is new."""
        for entry in self._delays.ripe():
            self._put_again(entry)
        for consumer in self._consumers:
            self._send_waiting(consumer)
        unacknowledged = sum(consumer.unacknowledged for consumer in self._consumers)
        while unacknowledged < UNACKNOWLEDGED_LIMIT and self._waiting < _LOOK_AHEAD and self._any_ready():
            entry_or_none = self._next_entry()
            if entry_or_none is None:
                return
            unacknowledged += self._offer(entry_or_none)

    def _any_ready(self) -> bool:
        return any(consumer.ready for consumer in self._consumers)

    def _send_waiting(self, consumer: Consumer) -> None:
        queue = self._queues[consumer]
        while queue and consumer.ready:
            entry = heapq.heappop(queue)
            self._waiting -= 1
            if self._source.done(entry):
                self._release(entry)
            else:
                self._send(consumer, entry)

    def _next_entry(self) -> int | None:
        while self._again:
            entry = heapq.heappop(self._again)
            if not self._source.done(entry):
                return entry
        while (entry_or_none := self._source.next_from(self._position, compacted=False)) is not None:
            self._position = entry_or_none + 1
            if not self._delay(entry_or_none):
                return entry_or_none
        return None

    def _delay(self, entry: int) -> bool:
        if not self._source.may_be_delayed(entry):
            return False
        metadata = self._source.metadata(entry)
        return metadata is not None and self._delays.add(entry, metadata.deliver_at_time)

    def _offer(self, entry: int) -> int:
        """Send an entry or let it wait for its consumer; returns how many messages were sent."""
        slot = self._slot(entry)
        if slot is None:
            return 0
        consumer = self._consumer_of(slot)
        if consumer is None:
            # With fixed ranges nobody may have this hash: it waits until somebody comes for it.
            self._homeless.append(entry)
            self._waiting += 1
            return 0
        self._hold(entry, slot, consumer)
        if self._queues[consumer] or not consumer.ready:
            heapq.heappush(self._queues[consumer], entry)
            self._waiting += 1
            return 0
        return self._send(consumer, entry)

    def _send(self, consumer: Consumer, entry: int) -> int:
        count = self._source.deliver(consumer, entry, self._redeliveries.get(entry, 0))
        if count:
            consumer.hold(entry, count)
        else:
            self._release(entry)
        return count

    def _slot(self, entry: int) -> int | None:
        metadata = self._source.metadata(entry)
        if metadata is None:
            return None
        key = metadata.ordering_key or metadata.partition_key.encode()
        if metadata.partition_key_b64_encoded and not metadata.ordering_key:
            with contextlib.suppress(ValueError):
                key = b64decode(key)
        return slot_of(key or f"{metadata.producer_name}-{metadata.sequence_id}".encode())

    def _consumer_of(self, slot: int) -> Consumer | None:
        holder = self._holders.get(slot)
        if holder is not None:
            return holder[0]
        if self._consumers and self._consumers[0].key_ranges:
            return next((each for each in self._consumers if any(a <= slot <= b for a, b in each.key_ranges)), None)
        return self._consumers[slot * len(self._consumers) // RANGE] if self._consumers else None

    def close(self) -> None:
        """Cancel the timer of delayed entries."""
        self._delays.clear()
