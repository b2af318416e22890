"""Shared: entries go round among the consumers; what comes back goes to whoever is next."""

import heapq
from collections.abc import Iterable

from magnetar_broker.topics.consumer import Consumer
from magnetar_broker.topics.delays import Delays
from magnetar_broker.topics.dispatch import SHARED, UNACKNOWLEDGED_LIMIT, Source


class SharedDispatcher:
    """Dispatches in turns; keeps what is to be delivered again or later."""

    kind = SHARED

    def __init__(self, source: Source) -> None:
        self._source = source
        self._consumers: list[Consumer] = []
        self._turn = 0
        self._position = source.mark
        self._again: list[int] = []
        self._waiting: set[int] = set()
        self._redeliveries: dict[int, int] = {}
        self._delays = Delays(self.dispatch)

    @property
    def active(self) -> Consumer | None:
        """No consumer has all the entries."""
        return None

    def add(self, consumer: Consumer) -> None:
        """Take a consumer in."""
        self._consumers.append(consumer)

    def remove(self, consumer: Consumer) -> None:
        """Let a consumer go; the others get what it had."""
        if consumer in self._consumers:
            self._consumers.remove(consumer)
        self._put_back(consumer, list(consumer.pending))

    def redeliver(self, consumer: Consumer, entries: Iterable[int] | None) -> None:
        """Deliver entries again and count it: clients decide by the count what goes to a dead-letter topic."""
        mine = [entry for entry in (consumer.pending if entries is None else entries) if entry in consumer.pending]
        for entry in mine:
            self._redeliveries[entry] = self._redeliveries.get(entry, 0) + 1
        consumer.redelivered += len(mine)
        self._put_back(consumer, mine)

    def _put_back(self, consumer: Consumer, entries: Iterable[int]) -> None:
        for entry in entries:
            consumer.let_go(entry)
            self._queue(entry)

    def _queue(self, entry: int) -> None:
        if not self._source.done(entry) and entry not in self._waiting:
            self._waiting.add(entry)
            heapq.heappush(self._again, entry)

    def acknowledged(self, entry: int, consumer: Consumer | None) -> None:
        """Forget an entry, whichever consumer has it."""
        self._redeliveries.pop(entry, None)
        if consumer is not None and consumer.let_go(entry):
            return
        for other in self._consumers:
            if other.let_go(entry):
                return

    def acknowledged_before(self, entry: int) -> None:
        """Forget all entries before one."""
        for consumer in self._consumers:
            for pending in [number for number in consumer.pending if number < entry]:
                consumer.let_go(pending)
        self._redeliveries = {number: times for number, times in self._redeliveries.items() if number >= entry}

    def reset(self) -> None:
        """Begin again at the mark."""
        self._position = self._source.mark
        self._again = []
        self._waiting.clear()
        self._redeliveries.clear()
        self._delays.clear()
        for consumer in self._consumers:
            consumer.let_all_go()

    def dispatch(self) -> None:
        """Send entries in turns while somebody has permits."""
        for entry in self._delays.ripe():
            self._queue(entry)
        ready = self._ready()
        room = UNACKNOWLEDGED_LIMIT - sum(consumer.unacknowledged for consumer in self._consumers)
        while ready and room > 0:
            consumer = ready[self._turn % len(ready)]
            sent = self._send_run(consumer, room) if len(ready) == 1 and not self._again else 0
            if not sent:
                following = self._next_entry()
                if following is None:
                    return
                sent = self._send(consumer, following)
            room -= sent
            if not consumer.ready:
                ready = self._ready()

    def _send_run(self, consumer: Consumer, room: int) -> int:
        """Send new entries to the only ready consumer, while there are several; returns how many messages they held."""
        run = self._source.next_run(self._position, compacted=False)
        if run is None or run[1] == run[0] + 1:
            return 0
        start, end = run
        messages = min(consumer.room, room)
        self._position, counts = self._source.deliver_some(consumer, start, end, messages, delayed=False)
        for entry, count in enumerate(counts, start):
            consumer.hold(entry, count)
        return sum(counts)

    def _send(self, consumer: Consumer, entry: int) -> int:
        """Send an entry; returns how many messages it held."""
        self._turn += 1
        count = self._source.deliver(consumer, entry, self._redeliveries.get(entry, 0))
        if count:
            consumer.hold(entry, count)
        return count

    def _ready(self) -> list[Consumer]:
        """Return the ready consumers of the best priority that has one."""
        ready = [consumer for consumer in self._consumers if consumer.ready]
        if not ready:
            return ready
        level = min(consumer.priority for consumer in ready)
        return [consumer for consumer in ready if consumer.priority == level]

    def _next_entry(self) -> int | None:
        while self._again:
            entry = heapq.heappop(self._again)
            self._waiting.discard(entry)
            if not self._source.done(entry):
                return entry
        while (entry_or_none := self._source.next_from(self._position, compacted=False)) is not None:
            self._position = entry_or_none + 1
            if not self._delay(entry_or_none):
                return entry_or_none
        return None

    def _delay(self, entry: int) -> bool:
        """Put an entry aside when its producer wants it delivered later."""
        if not self._source.may_be_delayed(entry):
            return False
        metadata = self._source.metadata(entry)
        return metadata is not None and self._delays.add(entry, metadata.deliver_at_time)

    def close(self) -> None:
        """Cancel the timer of delayed entries."""
        self._delays.clear()
