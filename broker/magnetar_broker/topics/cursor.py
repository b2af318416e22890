"""What a subscription has acknowledged. Pure."""

from collections.abc import Iterable, Sequence
from typing import cast

from magnetar_broker.topics.ranges import Ranges


class Cursor:
    """Everything before `mark` is acknowledged, and the entries of `beyond`, and of a batch what `partial` has cleared.

    A batch's acknowledgements are a set of bits, one for each message, as 64-bit words: a set bit is not acknowledged.
    What has changed since it was written is kept apart, so that writing costs no more than what changed.
    """

    __slots__ = ("_moved", "_new", "_new_partial", "beyond", "mark", "partial")

    def __init__(self, mark: int = 0) -> None:
        self.mark = mark
        self.beyond = Ranges()
        self.partial: dict[int, list[int]] = {}
        self._new = Ranges()
        self._new_partial: set[int] = set()
        self._moved = False

    def done(self, entry: int) -> bool:
        """Whether an entry is acknowledged as a whole."""
        return entry < self.mark or (len(self.beyond) > 0 and entry in self.beyond)

    def next_open(self, entry: int) -> int:
        """Return the first entry at or after one that is not acknowledged as a whole."""
        entry = max(entry, self.mark)
        return self.beyond.end_of(entry) if len(self.beyond) else entry

    def open_until(self, entry: int, end: int) -> int:
        """Return where the open entries end that follow an open one; right behind it while some batch is done in part."""
        if self.partial:
            return entry + 1
        return min(self.beyond.start_after(entry, end), end)

    def acknowledge(self, entry: int, ack_set: Iterable[int] = ()) -> bool:
        """Acknowledge an entry, or of its batch what the words clear; returns whether the whole entry is done now."""
        if self.done(entry):
            return True
        words = list(ack_set)
        if words:
            before = self.partial.get(entry)
            merged = words if before is None else [a & b for a, b in zip(before, words, strict=False)]
            if any(merged):
                self.partial[entry] = merged
                self._new_partial.add(entry)
                return False
        self.partial.pop(entry, None)
        if entry == self.mark:
            self.mark = self.next_open(entry + 1) if len(self.beyond) else entry + 1
            self.beyond.drop_before(self.mark)
        else:
            self.beyond.add(entry, entry + 1)
            self._new.add(entry, entry + 1)
        return True

    def acknowledge_range(self, start: int, end: int) -> bool:
        """Acknowledge whole entries; returns whether that changed anything."""
        if start <= self.mark:
            before = self.mark
            self.advance(end)
            return self.mark != before
        if self.beyond.end_of(start) >= end:
            return False
        self.beyond.add(start, end)
        self._new.add(start, end)
        return True

    def advance(self, mark: int) -> None:
        """Acknowledge all before an entry; never goes back."""
        if mark <= self.mark:
            return
        self.mark = self.beyond.end_of(mark)
        self.beyond.drop_before(self.mark)
        if self.partial:
            self.partial = {entry: words for entry, words in self.partial.items() if entry >= self.mark}

    def reset(self, mark: int) -> None:
        """Put the cursor somewhere, also back; what was acknowledged beyond is forgotten."""
        self.mark = mark
        self.beyond, self.partial = Ranges(), {}
        self._moved = True

    # For the journal.

    def to_json(self) -> dict[str, object]:
        """Return the whole cursor."""
        return {"mark": self.mark, "beyond": [list(each) for each in self.beyond], "partial": _keys(self.partial)}

    def changes(self) -> dict[str, object]:
        """Return what changed since this was last asked, to be given to `apply`."""
        if self._moved:
            value = {**self.to_json(), "reset": True}
        else:
            self._new.drop_before(self.mark)
            partial = {entry: self.partial[entry] for entry in self._new_partial if entry in self.partial}
            value = {"mark": self.mark, "beyond": [list(each) for each in self._new], "partial": _keys(partial)}
        self._new, self._new_partial, self._moved = Ranges(), set(), False
        return value

    def apply(self, value: dict[str, object]) -> None:
        """Take in what `to_json` or `changes` returned."""
        if value.get("reset"):
            self.reset(cast("int", value["mark"]))
        for start, end in cast("Sequence[Sequence[int]]", value["beyond"]):
            self.beyond.add(start, end)
        for entry, words in cast("dict[str, list[int]]", value["partial"]).items():
            self.partial[int(entry)] = words
        self.advance(cast("int", value["mark"]))
        self._new, self._new_partial, self._moved = Ranges(), set(), False

    @classmethod
    def from_json(cls, value: dict[str, object]) -> "Cursor":
        """Read what `to_json` wrote."""
        cursor = cls()
        cursor.apply({**value, "reset": True})
        return cursor


def _keys(partial: dict[int, list[int]]) -> dict[str, list[int]]:
    return {str(entry): words for entry, words in partial.items()}
