"""The worker's launcher: a small process that starts all others, so that the worker itself never forks."""

import os
import random
import signal
import socket
import sys
import time
import uuid
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
from magnetar_instance.spawn import boot_id

from magnetar.processes.channel import LauncherGoneError, Spawn, SpawnChannel, SpawnError
from magnetar.processes.child import Child
from magnetar.processes.family import Family
from magnetar.processes.home import LauncherHome, Survival
from magnetar.processes.identity import Identity
from magnetar.processes.launcher_process import (
    CLEAN_NAMES,
    Guardian,
    LauncherProcess,
    ask_to_end,
    start_guardian,
    start_launcher,
)
from magnetar.processes.subreaper import Subreaper
from magnetar.processes.watch import ExitStatus
from magnetar.tasks import ServingTasks

__all__ = ["CLEAN_NAMES", "Launcher", "LauncherGoneError", "Spawn", "SpawnError"]

_SOON = 1.0
"""A launcher that ended within so many seconds is not started again at once: something is wrong with this host."""


class Launcher:
    """Starts processes; an async context manager that is ready for `spawn` when entered.

    With a `subreaper` the children become this process's own, and survive the launcher; without, they are the launcher's,
    which reports their ends, and end with it. A launcher that ends is replaced. With `survival` it is a guardian instead:
    it outlives this process, and an entered Launcher of the same `home` goes on with the one that is there; what it kept
    can be adopted until `settled` is called. A `home` also sees to it that nothing of a launcher before is left.
    """

    def __init__(
        self, *, subreaper: Subreaper | None = None, home: Path | None = None, survival: Survival | None = None
    ) -> None:
        self._subreaper = subreaper
        self._home = LauncherHome(home) if home else None
        self._survival = survival
        self._tasks = ServingTasks()
        self._closing = False
        self._replaced = anyio.Event()
        self._process: LauncherProcess
        self._channel: SpawnChannel
        self._adoption = ExitStack()
        self._goes_on = False
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

    @property
    def survives(self) -> bool:
        """Whether what is started goes on when this process ends."""
        return self._survival is not None

    async def __aenter__(self) -> Self:
        connection = await self._guardian()
        if connection is None:
            self._start()
        else:
            self._go_on_with(connection)
        await self._tasks.__aenter__()
        self._tasks.group.start_soon(self._keep, name="launcher")
        try:
            await self._channel.ready.wait()
            await self._agree()
        except BaseException:
            await self.__aexit__(*sys.exc_info())
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._closing = True
        self._replaced.set()
        self._adoption.close()
        with anyio.CancelScope(shield=True):
            await self._channel.close()
        return await self._tasks.__aexit__(kind, error, trace)

    async def _guardian(self) -> socket.socket | None:
        """Return a connection to the guardian of the worker before; without one, see the end of what it left."""
        if self._home is None:
            return None
        with ExitStack() as unwanted:
            connection = self._home.connect()
            if connection is not None and self._survival is not None:
                return connection
            if connection is not None:
                ask_to_end(unwanted.enter_context(connection))
            await self._home.until_free()
        return None

    def _go_on_with(self, connection: socket.socket) -> None:
        self._adoption.enter_context(self.family.expecting())
        self._goes_on = True
        self._channel = SpawnChannel("guardian", self.family.note_end, connected=connection)
        self._process = Guardian(self._channel, self._home)

    async def _agree(self) -> None:
        """Take over what a guardian tells, and write down which launcher this is."""
        greeting = self._channel.greeting
        if self._survival is not None:
            self.mark = greeting.mark or self.mark
            await self._channel.operate("terms", survive=self._survival.survive_for, grace=self._survival.grace)
        if self._home is not None and greeting.pid:
            self._home.note(greeting.pid, self.mark)

    def _start(self) -> None:
        self._channel = SpawnChannel("launcher", self.family.note_end)
        if self._survival is not None and self._home is not None:
            self._process = start_guardian(self._channel, self._home, self._survival, self.mark)
        else:
            self._process = start_launcher(self._channel, self.mark, reaps=self._subreaper is None)
        self._channel.close_theirs()
        replaced, self._replaced = self._replaced, anyio.Event()
        replaced.set()

    async def _keep(self) -> None:
        """Read what the launcher says, and start another one whenever it ends."""
        while True:
            started = time.monotonic()
            try:
                await self._channel.read()
            finally:
                if not (self._closing and self._survival):
                    with anyio.CancelScope(shield=True):
                        await self._reap()
            if self._closing:
                return
            await self._channel.close()
            if time.monotonic() - started < _SOON:
                # The timer `restart`.
                await anyio.sleep(_SOON * random.random())  # noqa: S311
            self.restarts += 1
            self._start()
            self._tasks.group.start_soon(self._note_next, self._channel, name="note the next launcher")

    async def _note_next(self, channel: SpawnChannel) -> None:
        await channel.ready.wait()
        if self._home is not None and channel.greeting.pid:
            self._home.note(channel.greeting.pid, self.mark)

    async def _reap(self) -> None:
        """Wait for the launcher's own end, make it after a grace, and note the ends of its children."""
        await self._process.ended()
        if self._subreaper is None:
            self.family.all_gone(ExitStatus(signal=signal.SIGKILL))

    def adopt(self, identity: Identity) -> Child | None:
        """Return a process that a worker before this one started through the same guardian; None without such a one.

        One that has ended meanwhile is returned with its end, as far as the guardian knows it.
        """
        greeting = self._channel.greeting
        if not self._goes_on or identity.boot_id != boot_id():
            return None
        if identity.pid in greeting.children and not identity.alive:
            return self.family.ended(identity.pid, ExitStatus())
        if identity.pid not in greeting.children:
            return self.family.ended(identity.pid, greeting.exits.get(identity.pid, ExitStatus()))
        return self.family.adopt(identity.pid)

    def settled(self) -> None:
        """Nothing more is adopted."""
        self._adoption.close()

    async def hold(self, key: str, descriptor: int) -> None:
        """Have a guardian keep a descriptor for the next worker; nothing happens without one."""
        if self.survives:
            await self._channel.operate("hold", descriptor, key=key)

    async def release(self, key: str) -> None:
        """Let a guardian forget a descriptor."""
        if self.survives:
            await self._channel.operate("release", key=key)

    async def fetch(self, key: str) -> int | None:
        """Return a descriptor that a guardian kept, None when it has none under this key."""
        return await self._channel.operate("fetch", key=key)

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
