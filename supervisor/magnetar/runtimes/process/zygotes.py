"""Which zygote forks an instance: one for each environment, kept running, and renewed when what it imported changes."""

import sysconfig
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.abc
from structlog.stdlib import BoundLogger

from magnetar.processes.channel import LauncherGoneError, Spawn, SpawnError
from magnetar.processes.child import Child
from magnetar.processes.launcher import CLEAN_NAMES, Launcher
from magnetar.processes.zygote import Zygote

_MOST = 8
"""Zygotes beyond these many end, the longest unused first; the instances that they forked go on."""
_SOON = 5.0
"""A zygote that ended within so many seconds is not started again before an instance asks for it."""


@dataclass
class _Kept:
    zygote: Zygote
    modules: tuple[int, ...]
    scope: anyio.CancelScope


class Zygotes:
    """Zygotes by environment; their tasks run in a group of the runtime's."""

    def __init__(self, launcher: Launcher, group: anyio.abc.TaskGroup, logger: BoundLogger) -> None:
        self._launcher = launcher
        self._group = group
        self._log = logger
        self._kept: dict[tuple[tuple[str, str], ...], _Kept] = {}

    @property
    def pids(self) -> list[int]:
        """The process ids of the zygotes that run."""
        zygotes = (kept.zygote for kept in self._kept.values())
        return [zygote.pid for zygote in zygotes if zygote.pid is not None and not zygote.gone]

    def warm(self, environment: Mapping[str, str]) -> Zygote:
        """Return the zygote of an environment, started if there is none, or none that imported what is on disk now."""
        clean = {name: environment[name] for name in CLEAN_NAMES if name in environment}
        key = tuple(sorted(clean.items()))
        modules = _modules(clean)
        kept = self._kept.get(key)
        if kept is not None and (kept.zygote.gone or kept.modules != modules):
            kept.scope.cancel()
            kept = None
        if kept is None:
            kept = self._kept[key] = _Kept(Zygote(self._launcher, clean), modules, anyio.CancelScope())
            self._group.start_soon(self._run, key, kept, name="zygote")
        self._kept[key] = self._kept.pop(key)
        for unused in list(self._kept)[:-_MOST]:
            self._kept.pop(unused).scope.cancel()
        return kept.zygote

    async def _run(self, key: tuple[tuple[str, str], ...], kept: _Kept) -> None:
        """Run one zygote; when it ends though it worked, start the next one before anyone waits for it."""
        started = time.monotonic()
        with kept.scope:
            try:
                await kept.zygote.run()
            except (SpawnError, LauncherGoneError) as error:
                self._log.warning("A zygote could not be started.", reason=str(error))
                return
            self._log.warning("A zygote ended; the instances that it forked go on.", pid=kept.zygote.pid)
            if time.monotonic() - started >= _SOON and self._kept.get(key) is kept:
                self.warm(dict(key))

    async def spawn(self, environment: Mapping[str, str], wanted: Spawn) -> Child:
        """Fork an instance. Raises SpawnError, LauncherGoneError where the zygote ended."""
        return await self.warm(environment).spawn(wanted)


def _modules(environment: Mapping[str, str]) -> tuple[int, ...]:
    """Return what changes when modules are installed or removed: the times of the directories they are found in."""
    folders = [*environment.get("PYTHONPATH", "").split(":"), sysconfig.get_paths()["purelib"]]
    return tuple(_changed_at(Path(folder)) for folder in folders if folder)


def _changed_at(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0
