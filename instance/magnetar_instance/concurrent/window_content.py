"""Which messages a window has, by count or by time; times are in milliseconds of whichever clock. Pure."""

import math
from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from magnetar_instance.settings import WindowConfig

T = TypeVar("T")


@dataclass(frozen=True)
class Window(Generic[T]):
    """One window: what it has, and which messages are in none after it."""

    content: list[T]
    expired: list[T]


class Windows(Generic[T]):
    """Messages in the order of their times. A window ends at a time and has what came until then, that time included."""

    def __init__(self, config: WindowConfig) -> None:
        self._config = config
        self._items: list[tuple[float, int, T]] = []
        self._number = 0
        self._counted = (-math.inf, -1)
        self.ended_at = -math.inf
        """Where the last window by time ended."""

    def __len__(self) -> int:
        """How many messages are kept."""
        return len(self._items)

    def add(self, at: float, item: T) -> None:
        """Keep a message of this time."""
        self._number += 1
        insort(self._items, (at, self._number, item), key=lambda each: each[:2])

    def until(self, now: float, origin: float = 0.0) -> Iterator[Window[T]]:
        """Yield the windows that are complete at this time; those by time end at whole intervals after `origin`."""
        if self._config.slide_count is not None:
            yield from self._by_count(now, self._config.slide_count)
            return
        assert self._config.slide_ms is not None
        while self._items:
            end = self.next_end(origin)
            if end > now:
                return
            self.ended_at = end
            window = self._ending(end)
            if window.content or window.expired:
                yield window

    def next_end(self, origin: float = 0.0) -> float:
        """Return when the next window by time ends that has something."""
        slide = self._config.slide_ms or 1
        first = origin + math.ceil((self._items[0][0] - origin) / slide) * slide
        return max(first, self.ended_at + slide)

    def _by_count(self, now: float, slide: int) -> Iterator[Window[T]]:
        while True:
            new = bisect_right(self._items, self._counted, key=lambda each: each[:2])
            last = new + slide - 1
            if last >= len(self._items) or self._items[last][0] > now:
                return
            at, number, _ = self._items[last]
            self._counted = (at, number)
            yield self._ending(at, last + 1)

    def _ending(self, at: float, end: int | None = None) -> Window[T]:
        if end is None:
            end = self._until(at)
        seen = [item for _, _, item in self._items[:end]]
        begin = self._begin(at, end)
        cut = min(max(self._cut(at, end), 0), end)
        window = Window(seen[begin:], seen[:cut])
        del self._items[:cut]
        return window

    def _until(self, at: float) -> int:
        return bisect_right(self._items, at, key=lambda each: each[0])

    def _begin(self, at: float, end: int) -> int:
        config = self._config
        if config.length_ms is not None:
            return self._until(at - config.length_ms)
        return max(end - (config.length_count or 0), 0)

    def _cut(self, at: float, end: int) -> int:
        """Return how many of the first messages can be in no later window."""
        config = self._config
        if config.length_ms is not None:
            return self._until(at - config.length_ms + (config.slide_ms or 0))
        return end - max((config.length_count or 0) - (config.slide_count or 0), 0)
