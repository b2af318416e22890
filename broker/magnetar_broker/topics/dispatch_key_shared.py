"""Key_Shared: all messages of a key go to one consumer, in order, also while consumers come and go."""

from collections.abc import Iterable

from magnetar_broker.topics.consumer import Consumer
from magnetar_broker.topics.dispatch import KEY_SHARED, Source
from magnetar_broker.topics.keyhash import RANGE, slot_of
from magnetar_broker.wire.frames import metadata_of

_LOOK_AHEAD = 2000


class KeySharedDispatcher:
    """Divides the range of hashes among the consumers; a key stays with its consumer while one of its entries is pending.

    An entry whose consumer is not ready is put aside, and with it the later ones of that consumer, up to a bound.
    """

    kind = KEY_SHARED

    def __init__(self, source: Source) -> None:
        self._source = source
        self._consumers: list[Consumer] = []
        self._position = source.mark
        self._aside: list[int] = []
        self._redeliveries: dict[int, int] = {}
        self._slots: dict[int, int] = {}
        self._holders: dict[int, tuple[Consumer, int]] = {}

    @property
    def active(self) -> Consumer | None:
        """No consumer has all the entries."""
        return None

    def add(self, consumer: Consumer) -> None:
        """Take a consumer in."""
        self._consumers.append(consumer)
        self._consumers.sort(key=lambda each: each.name)

    def remove(self, consumer: Consumer) -> None:
        """Let a consumer go; the others get what it had."""
        if consumer in self._consumers:
            self._consumers.remove(consumer)
        self._put_back(consumer, list(consumer.pending))

    def redeliver(self, consumer: Consumer, entries: Iterable[int] | None) -> None:
        """Deliver entries again and count it."""
        mine = [entry for entry in (consumer.pending if entries is None else entries) if entry in consumer.pending]
        for entry in mine:
            self._redeliveries[entry] = self._redeliveries.get(entry, 0) + 1
        self._put_back(consumer, mine)

    def _put_back(self, consumer: Consumer, entries: Iterable[int]) -> None:
        for entry in entries:
            consumer.pending.pop(entry, None)
            self._release(entry)
            if not self._source.done(entry):
                self._aside.append(entry)
        self._aside.sort()

    def acknowledged(self, entry: int) -> None:
        """Forget an entry; its key may move to another consumer when nothing of it is pending."""
        self._redeliveries.pop(entry, None)
        for consumer in self._consumers:
            if consumer.pending.pop(entry, None) is not None:
                break
        self._release(entry)
        self._slots.pop(entry, None)

    def _hold(self, slot: int, consumer: Consumer) -> None:
        _, count = self._holders.get(slot, (consumer, 0))
        self._holders[slot] = (consumer, count + 1)

    def _release(self, entry: int) -> None:
        slot = self._slots.get(entry)
        if slot is None or slot not in self._holders:
            return
        holder, count = self._holders[slot]
        if count > 1:
            self._holders[slot] = (holder, count - 1)
        else:
            del self._holders[slot]

    def reset(self) -> None:
        """Begin again at the mark."""
        self._position = self._source.mark
        self._aside = []
        for table in (self._redeliveries, self._slots, self._holders):
            table.clear()
        for consumer in self._consumers:
            consumer.pending.clear()

    def dispatch(self) -> None:
        """Send what has a ready consumer: first what was put aside, then what is new."""
        if not any(consumer.ready for consumer in self._consumers):
            return
        blocked: set[int] = set()
        aside, self._aside = self._aside, []
        for entry in aside:
            if not self._source.done(entry):
                self._offer(entry, blocked)
        while len(self._aside) < _LOOK_AHEAD and any(consumer.ready for consumer in self._consumers):
            entry_or_none = self._source.next_from(self._position, compacted=False)
            if entry_or_none is None:
                return
            self._position = entry_or_none + 1
            self._offer(entry_or_none, blocked)

    def _offer(self, entry: int, blocked: set[int]) -> None:
        slot = self._slot(entry)
        consumer = self._consumer_of(slot)
        if slot in blocked or consumer is None or not consumer.ready:
            blocked.add(slot)
            self._aside.append(entry)
            return
        self._hold(slot, consumer)
        self._source.deliver(consumer, entry, self._redeliveries.get(entry, 0))

    def _slot(self, entry: int) -> int:
        slot = self._slots.get(entry)
        if slot is None:
            metadata = metadata_of(self._source.data(entry))
            key = metadata.ordering_key or metadata.partition_key.encode()
            slot = self._slots[entry] = slot_of(key or f"{metadata.producer_name}-{metadata.sequence_id}".encode())
        return slot

    def _consumer_of(self, slot: int) -> Consumer | None:
        holder = self._holders.get(slot)
        if holder is not None and holder[0] in self._consumers:
            return holder[0]
        sticky = [consumer for consumer in self._consumers if consumer.key_ranges]
        if sticky:
            return next((each for each in sticky if any(a <= slot <= b for a, b in each.key_ranges)), None)
        return self._consumers[slot * len(self._consumers) // RANGE] if self._consumers else None

    def close(self) -> None:
        """Nothing is timed here."""
