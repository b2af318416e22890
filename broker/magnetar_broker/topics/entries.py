"""The entries of one topic: where each stands in the journal, in 16 bytes of memory."""

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice
from operator import sub

from magnetar_broker.store.columns import Run
from magnetar_broker.store.journal import READ_AT_ONCE, Journal, Waiter
from magnetar_broker.store.records import place, segment_of

_NUMBER_BITS = 40
_OVERHEAD = 250
_GONE = 0
_BLOCK_BITS = 12
_BLOCK = 1 << _BLOCK_BITS


class Cache:
    """The bytes of recent entries of all topics, up to a bound that counts what keeping costs; the oldest go first."""

    def __init__(self, bound: int = 32 * 1024 * 1024) -> None:
        self._bound = bound
        self._size = 0
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def put(self, topic_id: int, first: int, entries: Iterable[bytes]) -> None:
        """Keep entries' bytes by their topic's number and their own, which follow each other."""
        kept, size = self._kept, self._size
        for number, entry in enumerate(entries, topic_id << _NUMBER_BITS | first):
            kept[number] = entry
            size += len(entry) + _OVERHEAD
        while size > self._bound:
            _, dropped = kept.popitem(last=False)
            size -= len(dropped) + _OVERHEAD
        self._size = size

    def run(self, topic_id: int, start: int, end: int) -> list[bytes]:
        """Return the bytes of neighbouring entries while they are kept, and are not too many for one write."""
        kept, found, size = self._kept, [], 0
        for number in range(topic_id << _NUMBER_BITS | start, topic_id << _NUMBER_BITS | end):
            entry = kept.get(number)
            if entry is None or size > READ_AT_ONCE:
                break
            found.append(entry)
            size += len(entry)
        return found

    def get(self, topic_id: int, number: int) -> bytes | None:
        """Return an entry's bytes while they are kept."""
        return self._kept.get(topic_id << _NUMBER_BITS | number)

    def drop(self, topic_id: int, number: int) -> None:
        """Forget an entry's bytes."""
        dropped = self._kept.pop(topic_id << _NUMBER_BITS | number, None)
        if dropped is not None:
            self._size -= len(dropped) + _OVERHEAD


class _Block:
    """Some neighbouring entries: their places, sizes and, summed up from the block's first one, counts of messages."""

    __slots__ = ("before", "live", "places", "sizes", "start", "totals")

    def __init__(self, start: int, before: int) -> None:
        self.start = start
        self.before = before
        self.live = 0
        self.places = array("Q")
        self.sizes = array("I")
        self.totals = array("I")

    @property
    def end(self) -> int:
        return self.start + len(self.places)

    @property
    def total(self) -> int:
        return self.before + (self.totals[-1] if self.totals else 0)


class Entries:
    """The entries of a topic by their numbers, which rise without gaps from `first`; `end` is the next number to come.

    An entry may be gone although its neighbours are there: nobody wants it any more, or the disk has lost it. A block in
    which all are gone shrinks to the number of messages that came before it.
    """

    __slots__ = ("_blocks", "_cache", "_journal", "_topic_id", "_total", "end", "first", "size")

    def __init__(self, topic_id: int, journal: Journal, cache: Cache) -> None:
        self._topic_id = topic_id
        self._journal = journal
        self._cache = cache
        self._blocks: dict[int, _Block | int] = {}
        self._total = 0
        self.first = 0
        self.end = 0
        self.size = 0

    # In.

    def append(self, entries: Sequence[bytes], counts: Sequence[int], waiter: Waiter) -> None:
        """Append entries, with how many messages each holds, to the journal. Raises StorageError."""
        first = self.end
        wheres = self._journal.append(self._topic_id, first, counts, entries, waiter)
        if len(entries) == 1:
            self._add(wheres[0], len(entries[0]), counts[0])
        else:
            self._append_many(array("Q", wheres), array("I", map(len, entries)), array("I", counts))
        self._cache.put(self._topic_id, first, entries)

    def _append_many(self, wheres: "array[int]", sizes: "array[int]", counts: "array[int]") -> None:
        """Add entries of one or several segments."""
        at, end = 0, len(wheres)
        while at < end:
            stop = bisect_left(wheres, place(segment_of(wheres[at]) + 1, 0), at)
            self._add_many(wheres[at:stop], sizes[at:stop], counts[at:stop])
            at = stop

    def replay(self, number: int, where: int, size: int, count: int) -> None:
        """Take in an entry that the journal holds: the next one, one after a gap, or one that was moved."""
        if number >= self.end:
            self.end = number
            self._add(where, size, count)
        elif number >= self.first:
            if self.gone(number):
                self._fill(number, count)
            self.move(number, where, size)

    def replay_run(self, run: Run) -> None:
        """Take in many entries that the journal holds; quickly, when they follow each other."""
        for start, end in _unbroken(run.numbers):
            if run.numbers[start] >= self.end:
                self.end = run.numbers[start]
                self._add_many(run.wheres[start:end], run.sizes[start:end], run.counts[start:end])
            else:
                for at in range(start, end):
                    self.replay(run.numbers[at], run.wheres[at], run.sizes[at], run.counts[at])

    def _add_many(self, wheres: "array[int]", sizes: "array[int]", counts: "array[int]") -> None:
        """Add entries of one segment."""
        live, segment = self._journal.live, segment_of(wheres[0])
        added, at = sum(sizes), 0
        while at < len(wheres):
            block = self._last_block()
            stop = min(at + _BLOCK - (self.end & (_BLOCK - 1)), len(wheres))
            totals = accumulate(counts[at:stop], initial=block.total - block.before)
            block.totals.extend(array("I", islice(totals, 1, None)))
            block.places.extend(wheres[at:stop])
            block.sizes.extend(sizes[at:stop])
            block.live += stop - at
            self.end += stop - at
            at = stop
        self._total += sum(counts)
        self.size += added
        live[segment] = live.get(segment, 0) + added

    def _last_block(self) -> _Block:
        """Return the block of which the end is the next number."""
        block = self._blocks.get(self.end >> _BLOCK_BITS)
        return block if isinstance(block, _Block) and block.end == self.end else self._cover(self.end)

    def _add(self, where: int, size: int, count: int) -> None:
        block = self._last_block()
        block.places.append(where)
        block.sizes.append(size)
        block.totals.append(block.total - block.before + count)
        self._total += count
        self.end += 1
        self._count(block, where, size)

    def _cover(self, number: int) -> _Block:
        """Return the block of a number, made or filled up with what is gone so that the number is in it or next."""
        key = number >> _BLOCK_BITS
        block = self._blocks.get(key)
        if not isinstance(block, _Block):
            block = self._blocks[key] = _Block(number, self._total_before(number))
        if number < block.start:
            gap = block.start - number
            block.places = array("Q", [_GONE]) * gap + block.places
            block.sizes = array("I", [0]) * gap + block.sizes
            block.totals = array("I", [0]) * gap + block.totals
            block.start = number
        total = block.total - block.before
        while block.end < number:
            block.places.append(_GONE)
            block.sizes.append(0)
            block.totals.append(total)
        return block

    def _fill(self, number: int, count: int) -> None:
        """Make room for an entry in a gap, and count its messages."""
        block = self._cover(number)
        if block.end == number:
            block.places.append(_GONE)
            block.sizes.append(0)
            block.totals.append(block.total - block.before)
        for at in range(number - block.start, len(block.totals)):
            block.totals[at] += count
        for key, later in self._blocks.items():
            if key > number >> _BLOCK_BITS:
                if isinstance(later, _Block):
                    later.before += count
                else:
                    self._blocks[key] = later + count
        self._total += count

    def _count(self, block: _Block, where: int, size: int) -> None:
        live = self._journal.live
        segment = segment_of(where)
        live[segment] = live.get(segment, 0) + size
        self.size += size
        block.live += 1

    def _uncount(self, block: _Block, at: int) -> None:
        where, size = block.places[at], block.sizes[at]
        if where != _GONE:
            self._journal.live[segment_of(where)] -= size
            self.size -= size
            block.live -= 1

    def move(self, number: int, where: int, size: int) -> None:
        """Note that an entry now stands elsewhere."""
        block = self._block(number)
        if block is not None:
            at = number - block.start
            self._uncount(block, at)
            block.places[at], block.sizes[at] = where, size
            self._count(block, where, size)

    # Out.

    def drop_before(self, number: int) -> None:
        """Forget the entries before a number."""
        number = min(number, self.end)
        if number <= self.first:
            return
        self.forget(self.first, number)
        for key in range(self.first >> _BLOCK_BITS, number >> _BLOCK_BITS):
            self._blocks.pop(key, None)
        self.first = number
        if number == self.end:
            self._blocks.clear()

    def restart(self, first: int, end: int) -> None:
        """Begin at a number, what came before was dropped; and go on at another: numbers are never given twice."""
        self.drop_before(first)
        if self.end < first:
            self.first = self.end = first
        self.end = max(self.end, end)

    def settle(self) -> None:
        """Forget the gap before the first entry that is there, once all have been taken in."""
        self.drop_before(self.next_there(self.first))

    def cut(self, end: int) -> None:
        """Forget the entries from `end` on: they never became durable."""
        end = max(end, self.first)
        for number in range(end, self.end):
            self._cache.drop(self._topic_id, number)
        self.forget(end, self.end)
        for key in range(end >> _BLOCK_BITS, (self.end >> _BLOCK_BITS) + 1):
            block = self._blocks.get(key)
            if isinstance(block, _Block) and block.start < end:
                for table in (block.places, block.sizes, block.totals):
                    del table[end - block.start :]
                self._total = block.total
            elif block is not None:
                del self._blocks[key]
                self._total = block.before if isinstance(block, _Block) else block
        self.end = end

    def forget(self, start: int, end: int) -> None:
        """Let some entries be gone whose neighbours stay."""
        for key in range(start >> _BLOCK_BITS, (end >> _BLOCK_BITS) + 1):
            block = self._blocks.get(key)
            if not isinstance(block, _Block) or not block.live:
                continue
            for at in range(max(start - block.start, 0), min(end, block.end) - block.start):
                self._uncount(block, at)
                block.places[at], block.sizes[at] = _GONE, 0
            if not block.live and len(block.places) == _BLOCK:
                self._blocks[key] = block.before

    # Asked.

    def _block(self, number: int) -> _Block | None:
        block = self._blocks.get(number >> _BLOCK_BITS)
        return block if isinstance(block, _Block) and block.start <= number else None

    def gone(self, number: int) -> bool:
        """Whether there is no such entry any more."""
        block = self._blocks.get(number >> _BLOCK_BITS)
        if not isinstance(block, _Block):
            return True
        at = number - block.start
        return not 0 <= at < len(block.places) or block.places[at] == _GONE

    def next_there(self, number: int) -> int:
        """Return the first entry at or after a number that is not gone; the end when there is none."""
        number = max(number, self.first)
        while number < self.end:
            block = self._blocks.get(number >> _BLOCK_BITS)
            if not isinstance(block, _Block) or not block.live or number >= block.end:
                number = ((number >> _BLOCK_BITS) + 1) << _BLOCK_BITS
            elif number < block.start:
                number = block.start
            elif block.places[number - block.start] == _GONE:
                number += 1
            else:
                return number
        return self.end

    def count(self, number: int) -> int:
        """Return how many messages an entry holds."""
        block = self._block(number)
        if block is None or number >= block.end:
            return 0
        at = number - block.start
        return block.totals[at] - (block.totals[at - 1] if at else 0)

    def messages(self, start: int, end: int) -> int:
        """Return how many messages the entries of a range hold."""
        start = max(start, self.first)
        return self._total_before(end) - self._total_before(start) if end > start else 0

    def _total_before(self, number: int) -> int:
        """Return how many messages came before an entry, since ever."""
        if number >= self.end:
            return self._total
        block = self._blocks.get(number >> _BLOCK_BITS)
        if isinstance(block, int):
            return block
        if block is None:
            below = [key for key in self._blocks if key < number >> _BLOCK_BITS]
            nearest = self._blocks[max(below)] if below else 0
            return nearest.total if isinstance(nearest, _Block) else nearest
        at = min(number, block.end) - block.start
        return block.before + (block.totals[at - 1] if at > 0 else 0)

    def bytes_of(self, start: int, end: int) -> int:
        """Return the bytes of a range; costs as much as the range is long."""
        if start <= self.first and end >= self.end:
            return self.size
        found = 0
        for block in self._ordered():
            if block.end > start and block.start < end:
                found += sum(block.sizes[max(start - block.start, 0) : end - block.start])
        return found

    def read(self, number: int) -> bytes:
        """Return an entry's bytes. Raises DamagedError."""
        kept = self._cache.get(self._topic_id, number)
        if kept is not None:
            return kept
        return self._journal.read(*self.place(number))

    def there_until(self, number: int) -> int:
        """Return the end of the neighbours of an entry that is there, or of as many as can be told at once."""
        block = self._block(number)
        assert block is not None
        if block.live == len(block.places):
            return block.end
        try:
            return block.start + block.places.index(_GONE, number - block.start)
        except ValueError:
            return block.end

    def read_some(self, start: int, end: int, messages: int) -> tuple[list[bytes], list[int]]:
        """Return the bytes and counts of neighbouring entries that are there: enough to hold some messages, if so many are.

        Raises DamagedError where the first is damaged.
        """
        block = self._block(start)
        assert block is not None
        at, totals = start - block.start, block.totals
        before = totals[at - 1] if at else 0
        stop = min(end, block.end) - block.start
        stop = min(stop, bisect_left(totals, before + messages, at, stop) + 1)
        found = self._cache.run(self._topic_id, start, block.start + stop)
        if not found:
            found = self._journal.read_some(block.places[at:stop], block.sizes[at:stop])
        ends = totals[at : at + len(found)]
        return found, list(map(sub, ends, chain((before,), ends)))

    def place(self, number: int) -> tuple[int, int]:
        """Return where an entry that is not gone stands, and its size."""
        block = self._block(number)
        assert block is not None
        at = number - block.start
        return block.places[at], block.sizes[at]

    def _ordered(self) -> Iterator[_Block]:
        for key in sorted(self._blocks):
            block = self._blocks[key]
            if isinstance(block, _Block):
                yield block

    def sealed_before(self, segment: int) -> int:
        """Return the end of the leading entries that stand before a segment."""
        for block in self._ordered():
            if segment_of(block.places[-1]) < segment:
                continue
            for at, packed in enumerate(block.places):
                if segment_of(packed) >= segment:
                    return block.start + at
        return self.end

    def within(self, segment: int) -> Iterator[int]:
        """Yield the numbers of the entries that stand in a segment."""
        for block in self._ordered():
            for at, packed in enumerate(block.places):
                if segment_of(packed) == segment:
                    yield block.start + at


def _unbroken(numbers: "array[int]") -> Iterator[tuple[int, int]]:
    """Yield where the parts begin and end in which each number is one more than the one before."""
    first = numbers[0]
    if numbers == array("Q", range(first, first + len(numbers))):
        yield 0, len(numbers)
        return
    start = 0
    for at in range(1, len(numbers)):
        if numbers[at] != numbers[at - 1] + 1:
            yield start, at
            start = at
    yield start, len(numbers)
