"""The instances that a worker before this one left running: found by their records, adopted by name, or ended."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import anyio
from magnetar_instance.proto.function import FunctionDetails

from magnetar.processes.child import Child
from magnetar.processes.launcher import Launcher
from magnetar.runtimes.process.instance import ProcessInstance
from magnetar.runtimes.process.launch import Place
from magnetar.runtimes.process.start import Start, recorded
from magnetar.runtimes.process.stub import InstanceStub


@dataclass(frozen=True)
class Left:
    """One of them, living or ended meanwhile."""

    start: Start
    child: Child


TakeUp = Callable[[Start, Child], Awaitable[ProcessInstance]]
"""Makes an instance of what was left."""


class Survivors:
    """What was left, by the instances' names.

    `take_up` makes an instance of one that still `fits` this worker's settings; `grace` is what others have to end.
    """

    def __init__(self, take_up: TakeUp, fits: Callable[[Place, FunctionDetails], bool], grace: float) -> None:
        self._take_up = take_up
        self._fits = fits
        self._grace = grace
        self._left: dict[str, list[Left]] = {}

    async def find(self, records: Path, launcher: Launcher) -> None:
        """Read the records; what can't be adopted is ended, and its record goes."""
        for each in recorded(records):
            child = launcher.adopt(each.identity)
            if child is not None and each.start is not None:
                self._left.setdefault(each.instance, []).append(Left(each.start, child))
                continue
            if child is not None:
                await child.stop(self._grace)
            await each.identity.end(0)
            each.path.unlink(missing_ok=True)

    @property
    def names(self) -> set[str]:
        """The instances of which something is left."""
        return set(self._left)

    @property
    def environments(self) -> set[Path]:
        """What they import from beside their own code."""
        found = (each.start.spec.environment for left in self._left.values() for each in left)
        return {each for each in found if each is not None}

    async def adopt(self, fqiid: str) -> ProcessInstance | None:
        """Return the one process of an instance; of two, which an update under way had, the one that serves stays."""
        left = self._left.pop(fqiid, [])
        if not left:
            return None
        kept = await _serving(left) if len(left) > 1 else left[0]
        async with anyio.create_task_group() as tasks:
            for other in left:
                if other is not kept or not self._stays(kept):
                    tasks.start_soon(self._end, other)
        if not self._stays(kept):
            return None
        instance = await self._take_up(kept.start, kept.child)
        if kept.start.waits:
            instance.subscribe()
        return instance

    def _stays(self, left: Left) -> bool:
        return self._fits(left.start.place, left.start.spec.details)

    async def end(self, names: set[str]) -> None:
        """End whatever is left of these instances."""
        async with anyio.create_task_group() as tasks:
            for name in names:
                for left in self._left.pop(name, []):
                    tasks.start_soon(self._end, left)

    async def _end(self, left: Left) -> None:
        instance = await self._take_up(left.start, left.child)
        await instance.stop(0 if left.start.waits else self._grace)


async def _serving(left: list[Left]) -> Left:
    """Return the process that serves, else the youngest that lives, else the youngest."""
    living = [each for each in left if each.child.alive] or left
    for each in living:
        stub = InstanceStub(each.start.place.port)
        try:
            if each.start.linked and await stub.serving():
                return each
        except ConnectionError:
            continue
        finally:
            await stub.close()
    return living[-1]
