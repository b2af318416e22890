"""Limits of memory where the kernel keeps none: processes are looked at, and those that have too much are reported.

It is the timer `memory` of the documentation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import anyio

from magnetar.jitter import sooner
from magnetar.processes.memory import resident
from magnetar.tasks import ServingTasks

_LOOK = 1.0
_LONGEST = 5.0


@dataclass(frozen=True)
class _Watched:
    pid: int
    limit: int
    exceeded: Callable[[int], None]


class MemoryWatch:
    """Calls `exceeded` with the bytes in use of a process that has more than its limit, each second until it is forgotten.

    An async context manager. Nothing is looked at while nothing is watched. What is shared with other processes counts for
    each, and children do not count: a control group is exact.
    """

    def __init__(self) -> None:
        self._watched: list[_Watched] = []
        self._some = anyio.Event()
        self._tasks = ServingTasks()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.group.start_soon(self._run, name="memory")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._tasks.__aexit__(kind, error, trace)

    def watch(self, pid: int, limit: int, exceeded: Callable[[int], None]) -> Callable[[], None]:
        """Watch a process from now on; returns what ends that."""
        added = _Watched(pid, limit, exceeded)
        self._watched.append(added)
        self._some.set()
        return lambda: self._watched.remove(added)

    async def _run(self) -> None:
        while True:
            if not self._watched:
                self._some = anyio.Event()
                await self._some.wait()
            for each in list(self._watched):
                used = resident(each.pid) or 0
                if used > each.limit:
                    each.exceeded(used)
            # A hundred processes are looked at in 3 ms: many are looked at less often.
            # The timer `memory`.
            await anyio.sleep(sooner(min(_LONGEST, max(_LOOK, len(self._watched) / 20))))
