"""What a subscription has acknowledged. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Cursor:
    """Everything before `mark` is acknowledged, and the entries of `beyond`, and of a batch what `partial` has cleared.

    A batch's acknowledgements are a set of bits, one for each message, as 64-bit words: a set bit is not acknowledged.
    """

    mark: int = 0
    beyond: set[int] = field(default_factory=set)
    partial: dict[int, list[int]] = field(default_factory=dict)

    def done(self, entry: int) -> bool:
        """Whether an entry is acknowledged as a whole."""
        return entry < self.mark or entry in self.beyond

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
                return False
        self.partial.pop(entry, None)
        self.beyond.add(entry)
        self._advance()
        return True

    def acknowledge_through(self, entry: int) -> None:
        """Acknowledge an entry and all before it."""
        self.reset_if_later(entry + 1)

    def reset_if_later(self, mark: int) -> None:
        """Move forward, never back."""
        if mark > self.mark:
            self.reset(mark, keep_beyond=True)

    def reset(self, mark: int, *, keep_beyond: bool = False) -> None:
        """Put the cursor somewhere; what was acknowledged beyond is forgotten unless it is to be kept."""
        self.mark = mark
        self.beyond = {entry for entry in self.beyond if entry >= mark} if keep_beyond else set()
        self.partial = {entry: words for entry, words in self.partial.items() if entry >= mark} if keep_beyond else {}
        self._advance()

    def _advance(self) -> None:
        while self.mark in self.beyond:
            self.beyond.discard(self.mark)
            self.mark += 1

    def to_json(self) -> dict[str, object]:
        """Return the cursor for the journal; neighbouring acknowledgements as ranges."""
        return {
            "mark": self.mark,
            "beyond": _ranges(self.beyond),
            "partial": {str(k): v for k, v in self.partial.items()},
        }

    @classmethod
    def from_json(cls, value: dict[str, object]) -> "Cursor":
        """Read what `to_json` wrote."""
        mark, ranges, partial = value["mark"], value["beyond"], value["partial"]
        assert isinstance(mark, int)
        assert isinstance(ranges, list)
        assert isinstance(partial, dict)
        beyond = {entry for start, end in ranges for entry in range(start, end)}
        return cls(mark, beyond, {int(entry): words for entry, words in partial.items()})


def _ranges(numbers: set[int]) -> list[list[int]]:
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and found[-1][1] == number:
            found[-1][1] = number + 1
        else:
            found.append([number, number + 1])
    return found
