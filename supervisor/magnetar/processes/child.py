"""One process that was started for this worker, from its spawn to its end."""

import os
from collections.abc import Callable
from signal import SIGKILL, SIGTERM, Signals

import anyio

from magnetar.processes.watch import ExitStatus, reap, signal_group, signal_one, until_ended


class Child:
    """A process that leads its own session; its end is told by a pidfd, or by the launcher that is its parent.

    `early` is the end of one that ended before it was known; `forget` is called with the process id once the end is known.
    """

    def __init__(self, pid: int, *, early: ExitStatus | None, pidfd: int | None, forget: Callable[[int], None]) -> None:
        self.pid = pid
        self._pidfd = pidfd
        self._forget = forget
        self._status = early
        self._over = anyio.Event()
        self._waiting = anyio.Lock()
        if early is not None:
            self._over.set()

    @property
    def alive(self) -> bool:
        """Whether the end is not known yet."""
        return not self._over.is_set()

    async def wait(self) -> ExitStatus:
        """Wait for the end; what is left of the process's group is killed. May be called again and by many."""
        if self._pidfd is not None:
            await self._wait_and_reap()
        await self._over.wait()
        return self._status or ExitStatus()

    async def _wait_and_reap(self) -> None:
        async with self._waiting:
            if self._pidfd is None:
                return
            await until_ended(self._pidfd)
            signal_group(self.pid, SIGKILL)
            self.ended(reap(self._pidfd) or ExitStatus())

    def ended(self, status: ExitStatus) -> None:
        """Note the end."""
        if self._over.is_set():
            return
        self._status = status
        self._over.set()
        self._forget(self.pid)
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def signal(self, number: Signals, *, alone: bool = False) -> None:
        """Send a signal to the process's group, or to the process `alone`, if it has not ended."""
        if self.alive:
            (signal_one if alone else signal_group)(self.pid, number)

    async def stop(self, grace: float) -> ExitStatus:
        """Ask it to end (SIGTERM to the group), and after `grace` seconds make it (SIGKILL)."""
        self.signal(SIGTERM)
        with anyio.move_on_after(grace):
            return await self.wait()
        self.signal(SIGKILL)
        return await self.wait()
