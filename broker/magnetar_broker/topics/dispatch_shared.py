"""Shared: entries go round among the consumers; what comes back goes to whoever is next."""

import asyncio
import heapq
import time
from collections.abc import Iterable

from magnetar_broker.topics.consumer import Consumer
from magnetar_broker.topics.dispatch import SHARED, Source
from magnetar_broker.wire.frames import metadata_of

_DELIVER_AT_TAG = b"\x98\x01"


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
        self._later: list[tuple[int, int]] = []
        self._timer: asyncio.TimerHandle | None = None

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
        self._put_back(consumer, mine)

    def _put_back(self, consumer: Consumer, entries: Iterable[int]) -> None:
        for entry in entries:
            consumer.pending.pop(entry, None)
            if not self._source.done(entry) and entry not in self._waiting:
                self._waiting.add(entry)
                heapq.heappush(self._again, entry)

    def acknowledged(self, entry: int) -> None:
        """Forget an entry, whichever consumer has it."""
        self._redeliveries.pop(entry, None)
        for consumer in self._consumers:
            if consumer.pending.pop(entry, None) is not None:
                return

    def reset(self) -> None:
        """Begin again at the mark."""
        self._position = self._source.mark
        self._again, self._later = [], []
        self._waiting.clear()
        self._redeliveries.clear()
        for consumer in self._consumers:
            consumer.pending.clear()

    def dispatch(self) -> None:
        """Send entries in turns while somebody has permits."""
        self._wake_delayed()
        while (consumer := self._next_consumer()) is not None:
            entry = self._next_entry()
            if entry is None:
                return
            self._source.deliver(consumer, entry, self._redeliveries.get(entry, 0))

    def _next_consumer(self) -> Consumer | None:
        """Return the next ready consumer of the best priority that has one."""
        ready = [consumer for consumer in self._consumers if consumer.ready]
        if not ready:
            return None
        level = min(consumer.priority for consumer in ready)
        best = [consumer for consumer in ready if consumer.priority == level]
        self._turn += 1
        return best[self._turn % len(best)]

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
        """Put an entry aside when its producer wants it delivered later; a parse only where the field may be there."""
        data = self._source.data(entry)
        if _DELIVER_AT_TAG not in data[:4096]:
            return False
        due = metadata_of(data).deliver_at_time
        if due <= time.time() * 1000:
            return False
        heapq.heappush(self._later, (due, entry))
        self._set_timer()
        return True

    def _wake_delayed(self) -> None:
        now = time.time() * 1000
        while self._later and self._later[0][0] <= now:
            _, entry = heapq.heappop(self._later)
            if entry not in self._waiting:
                self._waiting.add(entry)
                heapq.heappush(self._again, entry)
        self._set_timer()

    def _set_timer(self) -> None:
        self.close()
        if self._later:
            delay = max(0.0, self._later[0][0] / 1000 - time.time()) + 0.001
            self._timer = asyncio.get_running_loop().call_later(delay, self.dispatch)

    def close(self) -> None:
        """Cancel the timer of delayed entries."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
