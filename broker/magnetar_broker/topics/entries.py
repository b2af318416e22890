"""The entries of one topic: where each stands in the journal, in a few bytes of memory."""

from array import array
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from magnetar_broker.store.journal import Journal

_POSITION_BITS = 40
_POSITION_MASK = (1 << _POSITION_BITS) - 1


class Cache:
    """The bytes of recent entries of all topics, up to a bound; the oldest go first."""

    def __init__(self, bound: int = 64 * 1024 * 1024) -> None:
        self._bound = bound
        self._size = 0
        self._kept: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def put(self, key: tuple[int, int], entry: bytes) -> None:
        """Keep an entry's bytes by its topic's and its own number."""
        self._kept[key] = entry
        self._size += len(entry)
        while self._size > self._bound:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped)

    def get(self, key: tuple[int, int]) -> bytes | None:
        """Return an entry's bytes while they are kept."""
        return self._kept.get(key)


@dataclass(frozen=True)
class Place:
    """Where an entry's bytes stand."""

    segment: int
    position: int
    size: int


class Entries:
    """The entries of a topic by their numbers, which rise without gaps from `first`; `end` is the next number to come."""

    def __init__(self, topic_id: int, journal: Journal, cache: Cache) -> None:
        self._topic_id = topic_id
        self._journal = journal
        self._cache = cache
        self.first = 0
        self._places = array("Q")
        self._sizes = array("I")
        self._counts = array("I")

    @property
    def end(self) -> int:
        """The number that the next entry gets."""
        return self.first + len(self._places)

    def add(self, place: Place, count: int, entry: bytes | None = None) -> int:
        """Add an entry of `count` messages; returns its number."""
        number = self.end
        self._places.append(place.segment << _POSITION_BITS | place.position)
        self._sizes.append(place.size)
        self._counts.append(count)
        if entry is not None:
            self._cache.put((self._topic_id, number), entry)
        return number

    def restart_at(self, number: int) -> None:
        """Begin at a number: what came before was dropped."""
        if not self._places:
            self.first = max(self.first, number)

    def count(self, number: int) -> int:
        """Return how many messages an entry holds."""
        return self._counts[number - self.first]

    def messages(self, start: int, end: int) -> int:
        """Return how many messages the entries of a range hold."""
        low, high = max(start, self.first) - self.first, max(end, self.first) - self.first
        return sum(self._counts[low:high])

    def read(self, number: int) -> bytes:
        """Return an entry's bytes."""
        kept = self._cache.get((self._topic_id, number))
        if kept is not None:
            return kept
        place = self.place(number)
        return self._journal.read(place.segment, place.position, place.size)

    def place(self, number: int) -> Place:
        """Return where an entry stands."""
        packed = self._places[number - self.first]
        return Place(packed >> _POSITION_BITS, packed & _POSITION_MASK, self._sizes[number - self.first])

    @property
    def oldest_segment(self) -> int | None:
        """The oldest segment that holds an entry of this topic."""
        return self._places[0] >> _POSITION_BITS if self._places else None

    @property
    def size(self) -> int:
        """The bytes of all entries."""
        return sum(self._sizes)

    def drop_before(self, number: int) -> None:
        """Forget the entries before a number."""
        count = min(max(number - self.first, 0), len(self._places))
        del self._places[:count]
        del self._sizes[:count]
        del self._counts[:count]
        self.first += count

    def numbers(self) -> Iterator[int]:
        """Yield the numbers of all entries."""
        yield from range(self.first, self.end)
