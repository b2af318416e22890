"""One process that was started for this worker, from its spawn to its end."""

import os
import signal
from collections.abc import Callable

import anyio

from magnetar.processes.watch import ExitStatus, reap, signal_group, until_ended


class Child:
    """A process that leads its own session; its end is told by a pidfd, or by the launcher that is its parent.

    `forget` is called with the process id once the end is known.
    """

    def __init__(
        self, pid: int, *, reaped_by_us: bool, early: ExitStatus | None, forget: Callable[[int], None]
    ) -> None:
        self.pid = pid
        self._reaped_by_us = reaped_by_us
        self._forget = forget
        self._status = early
        self._over = anyio.Event()
        self._waiting = anyio.Lock()
        self._pidfd = -1
        if early is not None:
            self._over.set()
        elif reaped_by_us:
            self._pidfd = os.pidfd_open(pid)

    @property
    def alive(self) -> bool:
        """Whether the end is not known yet."""
        return not self._over.is_set()

    async def wait(self) -> ExitStatus:
        """Wait for the end; what is left of the process's group is killed. May be called again and by many."""
        if self._reaped_by_us:
            await self._wait_and_reap()
        await self._over.wait()
        return self._status or ExitStatus()

    async def _wait_and_reap(self) -> None:
        async with self._waiting:
            if self._over.is_set():
                return
            await until_ended(self._pidfd)
            signal_group(self.pid, signal.SIGKILL)
            self.ended(reap(self._pidfd) or ExitStatus())

    def ended(self, status: ExitStatus) -> None:
        """Note the end."""
        if self._over.is_set():
            return
        self._status = status
        self._over.set()
        self._forget(self.pid)
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1

    def parent_gone(self) -> None:
        """Note that the launcher has ended: it was the parent of this process, which ends with it."""
        if not self._reaped_by_us:
            self.ended(ExitStatus(signal=signal.SIGKILL))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process's group, if it has not ended."""
        if self.alive:
            signal_group(self.pid, number)

    async def stop(self, grace: float) -> ExitStatus:
        """Ask it to end (SIGTERM to the group), and after `grace` seconds make it (SIGKILL)."""
        self.signal(signal.SIGTERM)
        with anyio.move_on_after(grace):
            return await self.wait()
        self.signal(signal.SIGKILL)
        return await self.wait()
