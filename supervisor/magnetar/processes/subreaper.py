"""The worker as the parent of all that its instances leave behind; opt-in, for it concerns the whole process."""

import asyncio
import ctypes
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from magnetar.processes.watch import ExitStatus, children, environment_of

INSTANCE_MARKER = "MAGNETAR_INSTANCE"
"""An environment variable by which the processes of an instance are known, its daemons included."""

_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper(enabled: bool = True) -> None:  # noqa: FBT001, FBT002
    """Make this process the parent of its descendants' orphans (Linux 3.4 and later), or end that."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, int(enabled), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER was refused by the kernel")


class Subreaper:
    """Reaps orphans as they end; the children that someone waits for are left to them.

    `known` returns the process ids that have an owner. A child may end before its owner knows of it: its status is
    kept in `early` for the owner to find.
    """

    def __init__(self, known: Callable[[], set[int]]) -> None:
        self._known = known
        self.early: dict[int, ExitStatus] = {}

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Be the subreaper, and hear of ended children, while the context is open; the main thread only."""
        loop = asyncio.get_running_loop()
        become_subreaper()
        loop.add_signal_handler(signal.SIGCHLD, self.reap)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGCHLD)
            become_subreaper(enabled=False)

    def reap(self) -> None:
        """Take the status of every ended child without an owner."""
        for pid in children() - self._known():
            try:
                result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
            except ChildProcessError:
                continue
            if result is not None:
                exited = result.si_code == os.CLD_EXITED
                status = ExitStatus(code=result.si_status) if exited else ExitStatus(signal=result.si_status)
                self._remember(pid, status)

    def _remember(self, pid: int, status: ExitStatus) -> None:
        self.early[pid] = status
        while len(self.early) > 64:
            del self.early[next(iter(self.early))]


def leftovers(marker: str) -> list[int]:
    """Return the children of this process that an ended instance left behind, known by its marker."""
    wanted = marker.encode()
    return [pid for pid in children() if environment_of(pid).get(INSTANCE_MARKER.encode()) == wanted]
