"""The worker's launcher: a small process that starts all others, so that the worker itself never forks."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from types import TracebackType
from typing import Self

import anyio

from magnetar.processes.channel import LauncherGoneError, Spawn, SpawnChannel, SpawnError
from magnetar.processes.child import Child
from magnetar.processes.family import Family
from magnetar.processes.subreaper import Subreaper
from magnetar.processes.watch import ExitStatus, until_ended
from magnetar.tasks import ServingTasks

__all__ = ["Launcher", "LauncherGoneError", "Spawn", "SpawnError"]

_MODULE = "magnetar_instance.spawner"
_END_GRACE = 3.0
_SOON = 1.0
"""A launcher that ended within so many seconds is not started again at once: something is wrong with this host."""
CLEAN_NAMES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
"""What launchers and zygotes keep of an environment: no secret is in it."""


class Launcher:
    """Starts processes; an async context manager that is ready for `spawn` when entered.

    With a `subreaper` the children become this process's own, and survive the launcher; without, they are the launcher's,
    which reports their ends, and end with it. A launcher that ends is replaced.
    """

    def __init__(self, *, subreaper: Subreaper | None = None) -> None:
        self._subreaper = subreaper
        self._tasks = ServingTasks()
        self._closing = False
        self._replaced = anyio.Event()
        self._process: subprocess.Popen[bytes]
        self._channel: SpawnChannel
        self.family = subreaper.family if subreaper else Family(reaped_here=False)
        self.mark = uuid.uuid4().hex
        """What the marker of each process that belongs to this launcher begins with: the rest of them end with it."""
        self.restarts = 0

    @property
    def pid(self) -> int:
        """The process id of the launcher."""
        return self._process.pid

    @property
    def parent(self) -> int:
        """The process id that is the parent of all children."""
        return os.getpid() if self._subreaper else self._process.pid

    async def __aenter__(self) -> Self:
        self._start()
        await self._tasks.__aenter__()
        self._tasks.group.start_soon(self._keep, name="launcher")
        try:
            await self._channel.ready.wait()
        except BaseException:
            await self.__aexit__(*sys.exc_info())
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._closing = True
        self._replaced.set()
        with anyio.CancelScope(shield=True):
            await self._channel.close()
        return await self._tasks.__aexit__(kind, error, trace)

    def _start(self) -> None:
        self._channel = SpawnChannel("launcher", self.family.note_end)
        reaper = "self" if self._subreaper is None else "worker"
        number = self._channel.theirs.fileno()
        command = [sys.executable, "-P", "-m", _MODULE, "--fd", str(number), "--reaper", reaper, "--mark", self.mark]
        # The parent-death signal comes when the forking thread ends: only the main thread lives as long as the process.
        if threading.current_thread() is threading.main_thread():
            command.append("--die-with-parent")
        environment = {name: os.environ[name] for name in CLEAN_NAMES if name in os.environ}
        self._process = subprocess.Popen(
            command, pass_fds=[number], env=environment, stdin=subprocess.DEVNULL, stdout=2
        )
        self._channel.theirs.close()
        replaced, self._replaced = self._replaced, anyio.Event()
        replaced.set()

    async def _keep(self) -> None:
        """Read what the launcher says, and start another one whenever it ends."""
        while True:
            started = time.monotonic()
            try:
                await self._channel.read()
            finally:
                with anyio.CancelScope(shield=True):
                    await self._reap()
            if self._closing:
                return
            await self._channel.close()
            if time.monotonic() - started < _SOON:
                await anyio.sleep(_SOON * random.random())  # noqa: S311
            self.restarts += 1
            self._start()

    async def _reap(self) -> None:
        """Wait for the launcher's own end, make it after a grace, and note the ends of its children."""
        pidfd = os.pidfd_open(self._process.pid)
        try:
            with anyio.move_on_after(_END_GRACE):
                await until_ended(pidfd)
            self._process.kill()
            await until_ended(pidfd)
        finally:
            os.close(pidfd)
        self._process.wait()
        if self._subreaper is None:
            self.family.all_gone(ExitStatus(signal=signal.SIGKILL))

    async def spawn(self, wanted: Spawn) -> Child:
        """Start a process. Raises SpawnError when it can't be forked, LauncherGoneError when launchers end at once."""
        channel, replaced = self._channel, self._replaced
        try:
            return await self._spawn_through(channel, wanted)
        except LauncherGoneError:
            # What was asked of the one that ended never ran: nobody opened its gate.
            await replaced.wait()
            return await self._spawn_through(self._channel, wanted)

    async def _spawn_through(self, channel: SpawnChannel, wanted: Spawn) -> Child:
        await channel.ready.wait()
        return await channel.spawn(wanted, parent=self.parent, family=self.family)
