"""A non-persistent topic: entries go to who is there and ready, and nothing is kept."""

from collections.abc import Sequence as Many

from magnetar_broker.topics.deduplication import Sequence
from magnetar_broker.topics.entries import Entries
from magnetar_broker.topics.topic import Publisher, Topic


class TransientEntries(Entries):
    """The one entry that is being handed on."""

    __slots__ = ("_data", "_messages")

    def put(self, entry: bytes, count: int) -> int:
        """Take the next entry; returns its number."""
        self._data, self._messages = entry, count
        self.first = self.end
        self.end += 1
        return self.first

    def let_go(self) -> None:
        """Keep it no more."""
        self._data, self._messages = b"", 0
        self.first = self.end

    def next_there(self, number: int) -> int:
        """Return the first entry at or after a number."""
        return max(number, self.first)

    def there_until(self, number: int) -> int:
        """Return the end of the one entry."""
        return number + 1

    def gone(self, number: int) -> bool:
        """Whether there is no such entry any more."""
        return number < self.first

    def messages(self, start: int, end: int) -> int:
        """Return how many messages the entries of a range hold."""
        return self._messages if start <= self.first < min(end, self.end) else 0

    def bytes_of(self, start: int, end: int) -> int:
        """Return the bytes of a range: nothing is kept."""
        del start, end
        return 0

    def read(self, number: int) -> bytes:
        """Return the entry's bytes."""
        del number
        return self._data


class TransientTopic(Topic):
    """A topic whose entries live for as long as it takes to hand them on; receipts come at once."""

    __slots__ = ()
    entries: TransientEntries
    keeps = False

    def _make_entries(self) -> Entries:
        return TransientEntries(self.id, self._journal, self._cache)

    def publish(
        self, entries: Many[bytes], counts: Many[int], publisher: Publisher, sequences: Many[Sequence] = ()
    ) -> None:
        """Hand entries to every subscription that has a ready consumer."""
        del sequences
        first = self.entries.end
        for entry, count in zip(entries, counts, strict=True):
            self._hand_on(entry, count)
        publisher.receipted(first)

    def _hand_on(self, entry: bytes, count: int) -> None:
        number = self.entries.put(entry, count)
        self.visible = number + 1
        self.received.messages += count
        self.received.bytes += len(entry)
        for subscription in list(self.subscriptions.values()):
            subscription.dispatch()
            subscription.cursor.reset(self.visible)
            if subscription.dispatcher is not None:
                subscription.dispatcher.reset()
        self.entries.let_go()
