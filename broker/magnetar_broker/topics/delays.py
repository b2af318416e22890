"""Entries that wait for their time."""

import asyncio
import heapq
import time
from collections.abc import Callable, Iterator

_MARGIN = 0.001


class Delays:
    """Keeps entries with the times at which they are to be delivered, and calls `due` when the first time has come."""

    def __init__(self, due: Callable[[], None]) -> None:
        self._due = due
        self._waiting: list[tuple[int, int]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._timer_for = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entry: int, due_ms: int) -> bool:
        """Keep an entry until a time, in milliseconds since 1970; returns false when that time has passed."""
        if due_ms <= time.time() * 1000:
            return False
        heapq.heappush(self._waiting, (due_ms, entry))
        self._set_timer()
        return True

    def ripe(self) -> Iterator[int]:
        """Yield, and keep no more, the entries whose time has come."""
        if not self._waiting:
            return
        now = time.time() * 1000
        while self._waiting and self._waiting[0][0] <= now:
            yield heapq.heappop(self._waiting)[1]
        self._set_timer()

    def clear(self) -> None:
        """Keep nothing any more."""
        self._waiting.clear()
        self._set_timer()

    def _set_timer(self) -> None:
        first = self._waiting[0][0] if self._waiting else 0
        if first == self._timer_for:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_for = first
        if first:
            delay = max(0.0, first / 1000 - time.time()) + _MARGIN
            self._timer = asyncio.get_running_loop().call_later(delay, self._fire)

    def _fire(self) -> None:
        self._timer, self._timer_for = None, 0
        self._due()
        self._set_timer()
