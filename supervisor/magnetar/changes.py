"""A counter that many tasks can wait on: nobody polls, and nobody misses a change."""

import anyio


class Changes:
    """Counts announcements; a task that saw number n waits for the one after it."""

    def __init__(self) -> None:
        self.generation = 0
        self._next = anyio.Event()

    def announce(self) -> None:
        """Count one change and wake everyone who waits."""
        self.generation += 1
        woken, self._next = self._next, anyio.Event()
        woken.set()

    async def after(self, seen: int) -> int:
        """Wait until `generation` is above `seen`; returns it."""
        while self.generation <= seen:
            await self._next.wait()
        return self.generation
