"""A set of numbers kept as ranges: as small as the gaps in it are few. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Ranges:
    """A set of whole numbers; ranges are given as start and end, the end excluded."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in ranges:
            self.add(start, end)

    def add(self, start: int, end: int) -> None:
        """Add a range; neighbours and overlaps become one."""
        starts, ends = self._starts, self._ends
        if start >= end:
            return
        if not ends or start > ends[-1]:
            starts.append(start)
            ends.append(end)
            return
        low = bisect_left(ends, start)
        high = bisect_right(starts, end)
        if low < high:
            start, end = min(start, starts[low]), max(end, ends[high - 1])
        starts[low:high] = [start]
        ends[low:high] = [end]

    def drop_before(self, number: int) -> None:
        """Take out all that is below a number."""
        low = bisect_right(self._ends, number)
        del self._starts[:low]
        del self._ends[:low]
        if self._starts and self._starts[0] < number:
            self._starts[0] = number

    def end_of(self, number: int) -> int:
        """Return the end of the range that a number is in, the number itself when it is in none."""
        at = bisect_right(self._starts, number) - 1
        return self._ends[at] if at >= 0 and number < self._ends[at] else number

    def start_after(self, number: int, otherwise: int) -> int:
        """Return where the next range after a number begins."""
        at = bisect_right(self._starts, number)
        return self._starts[at] if at < len(self._starts) else otherwise

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and number < self._ends[at]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._starts, self._ends, strict=True))

    def __len__(self) -> int:
        """The number of ranges, not of numbers."""
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def common(self, other: "Ranges") -> "Ranges":
        """Return what is in both."""
        found = Ranges()
        mine, theirs = list(self), list(other)
        i = j = 0
        while i < len(mine) and j < len(theirs):
            found.add(max(mine[i][0], theirs[j][0]), min(mine[i][1], theirs[j][1]))
            if mine[i][1] < theirs[j][1]:
                i += 1
            else:
                j += 1
        return found
