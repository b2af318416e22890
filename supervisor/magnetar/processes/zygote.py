"""A zygote seen from the worker: a process that has imported what Python instances need, and forks them."""

import sys
from collections.abc import Mapping

import anyio

from magnetar.processes.channel import Spawn, SpawnChannel
from magnetar.processes.child import Child
from magnetar.processes.launcher import Launcher
from magnetar.processes.leftovers import INSTANCE_MARKER

_MODULE = "magnetar_instance.zygote"
_DESCRIPTOR = "MAGNETAR_ZYGOTE_FD"
_END_GRACE = 3.0


class Zygote:
    """One zygote; `run` is its life, during which `spawn` may be called.

    The instances that it forks are handed to the launcher's parent of children, so they survive it.
    """

    def __init__(self, launcher: Launcher, environment: Mapping[str, str]) -> None:
        self._launcher = launcher
        self._environment = environment
        self._channel = SpawnChannel("zygote", launcher.family.note_end)
        self._child: Child | None = None

    @property
    def pid(self) -> int | None:
        """The process id; None before it was started."""
        return self._child.pid if self._child else None

    @property
    def gone(self) -> bool:
        """Whether the zygote has ended."""
        return self._channel.gone.is_set()

    async def run(self) -> None:
        """Start the zygote and hear it until it ends; cancelled, it ends it. Raises SpawnError and LauncherGoneError."""
        try:
            self._child = await self._launcher.spawn(self._wanted())
            self._channel.close_theirs()
            await self._channel.read()
        finally:
            with anyio.CancelScope(shield=True):
                self._channel.give_up()
                await self._channel.close()
                if self._child is not None:
                    await self._child.stop(_END_GRACE)

    def _wanted(self) -> Spawn:
        argv = [sys.executable, "-P", "-m", _MODULE, "--fd", _DESCRIPTOR, "--reaper", "worker", "--spare"]
        descriptors = {_DESCRIPTOR: self._channel.their_descriptor, "stdout": 2, "stderr": 2}
        # What it forks shows this environment: by it strays are told from other processes.
        marked = {**self._environment, INSTANCE_MARKER: f"{self._launcher.mark}:zygote"}
        return Spawn(argv, marked, descriptors=descriptors)

    async def spawn(self, wanted: Spawn) -> Child:
        """Fork an instance once the zygote is ready. Raises SpawnError, LauncherGoneError when the zygote has ended."""
        await self._channel.ready.wait()
        return await self._channel.spawn(wanted, parent=self._launcher.parent, family=self._launcher.family)
