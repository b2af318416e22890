"""What compaction left of a topic: its entries stay readable after the topic itself has dropped them."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from magnetar_broker.store.journal import Journal
from magnetar_broker.store.records import segment_of
from magnetar_broker.topics.entries import Entries

_UNKNOWN = (0, 0)


class Compacted:
    """The entries before `horizon` that compaction kept, in order; of some batches only some messages.

    `words` holds the live messages of such a batch as bits, in the form of an acknowledgement set.
    """

    __slots__ = ("_journal", "_places", "horizon", "kept", "words")

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._places: dict[int, tuple[int, int]] = {}
        self.horizon = 0
        self.kept: list[int] = []
        self.words: dict[int, list[int]] = {}

    def replace(self, horizon: int, kept: Mapping[int, Sequence[int]], entries: Entries) -> None:
        """Keep the entries of `kept`, with the words of those that are live in part, and no others."""
        places = {number: self._place(number, entries) for number in sorted(kept)}
        for where, size in self._places.values():
            self._count(where, -size)
        self._places = places
        for where, size in places.values():
            self._count(where, size)
        self.horizon, self.kept = horizon, list(places)
        self.words = {number: list(words) for number, words in kept.items() if words}

    def _place(self, number: int, entries: Entries) -> tuple[int, int]:
        if entries.first <= number < entries.end and not entries.gone(number):
            return entries.place(number)
        return self._places.get(number, _UNKNOWN)

    def _count(self, where: int, size: int) -> None:
        if where:
            segment = segment_of(where)
            self._journal.live[segment] = self._journal.live.get(segment, 0) + size

    def move(self, number: int, where: int, size: int) -> None:
        """Note that an entry stands elsewhere, if it is one of these."""
        old = self._places.get(number)
        if old is not None:
            self._count(old[0], -old[1])
            self._places[number] = where, size
            self._count(where, size)

    def clear(self) -> None:
        """Let all go: the topic is deleted."""
        for where, size in self._places.values():
            self._count(where, -size)
        self._places.clear()

    def next_from(self, entry: int) -> int:
        """Return the first entry at or after `entry` that was kept; the horizon where there is none."""
        at = bisect_left(self.kept, entry)
        while at < len(self.kept):
            if self._places[self.kept[at]] != _UNKNOWN:
                return self.kept[at]
            at += 1
        return self.horizon

    def read(self, number: int) -> bytes | None:
        """Return the bytes of an entry that was kept, None for others. Raises DamagedError."""
        where, size = self._places.get(number, _UNKNOWN)
        return self._journal.read(where, size) if where else None

    def within(self, segment: int) -> Iterator[int]:
        """Yield the numbers of the entries that stand in a segment."""
        return (number for number, (where, _) in self._places.items() if segment_of(where) == segment)

    def to_json(self) -> dict[str, object]:
        """Return what is to be kept in the journal; where the entries stand is found when it is replayed."""
        words = {str(number): words for number, words in self.words.items()}
        return {"horizon": self.horizon, "kept": self.kept, "words": words}

    def restore(self, value: Mapping[str, object], entries: Entries) -> None:
        """Take in what `to_json` returned."""
        words = cast("Mapping[str, list[int]]", value.get("words", {}))
        kept = {number: words.get(str(number), []) for number in cast("list[int]", value["kept"])}
        self.replace(cast("int", value["horizon"]), kept, entries)
