"""The entries of a segment in columns: taken in and handed on by thousands, without an object for each. Pure."""

import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, compress, groupby, repeat
from operator import add

from magnetar_broker.store.records import ENTRY, HEAD_SIZE

_SIZE_AT, _KIND_AT, _TOPIC_AT, _NUMBER_AT, _COUNT_AT = 10, 14, 15, 19, 27
_TYPECODES = "IQIIQ"


@dataclass(frozen=True, slots=True)
class Run:
    """Entries of one topic, in the order in which they were written; `wheres` are places, see `records.place`."""

    topic_id: int
    numbers: "array[int]"
    counts: "array[int]"
    sizes: "array[int]"
    wheres: "array[int]"


class Columns:
    """The entries of a segment, oldest first: topics' ids, numbers, counts of messages, sizes, and where bodies stand."""

    __slots__ = ("counts", "numbers", "positions", "sizes", "tables", "topics")

    def __init__(self) -> None:
        self.topics, self.numbers, self.counts, self.sizes, self.positions = (array(code) for code in _TYPECODES)
        self.tables = (self.topics, self.numbers, self.counts, self.sizes, self.positions)

    def __len__(self) -> int:
        return len(self.topics)

    def add(self, topic_id: int, number: int, count: int, position: int, size: int) -> None:
        """Add an entry."""
        self.topics.append(topic_id)
        self.numbers.append(number)
        self.counts.append(count)
        self.sizes.append(size)
        self.positions.append(position)

    def extend(self, other: "Columns") -> None:
        """Add all of another's."""
        for mine, others in zip(self.tables, other.tables, strict=True):
            mine.extend(others)

    def add_heads(self, heads: bytes, start: int) -> None:
        """Add the entries among the heads of neighbouring records, of which the first stands at `start`.

        Heads are all of one size, so a slice with a stride is a column: no loop runs in Python.
        """
        kinds = heads[_KIND_AT::HEAD_SIZE]
        sizes = _column(heads, _SIZE_AT, "I")
        positions = accumulate(map(add, sizes, repeat(HEAD_SIZE)), initial=start + HEAD_SIZE)
        columns = (
            _column(heads, _TOPIC_AT, "I"),
            _column(heads, _NUMBER_AT, "Q"),
            _column(heads, _COUNT_AT, "I"),
            sizes,
            array("Q", (position for position, _ in zip(positions, kinds, strict=False))),
        )
        chosen = None if kinds.count(ENTRY) == len(kinds) else [kind == ENTRY for kind in kinds]
        for mine, column in zip(self.tables, columns, strict=True):
            mine.extend(column if chosen is None else array(column.typecode, compress(column, chosen)))

    def runs(self, base: int) -> Iterator[Run]:
        """Yield each topic's entries; `base` is the place of the segment's first byte."""
        if not self.topics:
            return
        wheres = array("Q", map(base.__or__, self.positions))
        if min(self.topics) == max(self.topics):
            yield Run(self.topics[0], self.numbers, self.counts, self.sizes, wheres)
            return
        for topic_id, group in groupby(sorted(range(len(self)), key=self.topics.__getitem__), self.topics.__getitem__):
            rows = list(group)
            numbers, counts, sizes, places = (
                array(column.typecode, map(column.__getitem__, rows))
                for column in (self.numbers, self.counts, self.sizes, wheres)
            )
            yield Run(topic_id, numbers, counts, sizes, places)

    def to_bytes(self) -> bytes:
        """Return the columns one after the other, low bytes first."""
        return b"".join(_ordered(table).tobytes() for table in self.tables)

    @classmethod
    def from_bytes(cls, data: bytes, length: int) -> "Columns | None":
        """Read what `to_bytes` wrote of `length` entries; None when it is of another size."""
        columns = cls()
        if len(data) != length * sum(table.itemsize for table in columns.tables):
            return None
        at = 0
        for table in columns.tables:
            end = at + length * table.itemsize
            part = array(table.typecode)
            part.frombytes(data[at:end])
            table.extend(_ordered(part))
            at = end
        return columns


def _column(heads: bytes, offset: int, typecode: str) -> "array[int]":
    """Return a field of all heads, which have it with the high byte first."""
    column = array(typecode)
    width = column.itemsize
    gathered = bytearray(len(heads) // HEAD_SIZE * width)
    for byte in range(width):
        gathered[byte::width] = heads[offset + byte :: HEAD_SIZE]
    column.frombytes(gathered)
    if sys.byteorder == "little":
        column.byteswap()
    return column


def _ordered(table: "array[int]") -> "array[int]":
    if sys.byteorder == "little":
        return table
    swapped = table[:]
    swapped.byteswap()
    return swapped
