"""The worker as the parent of all that its instances leave behind; opt-in, for it concerns the whole process."""

import asyncio
import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from magnetar.processes.family import Family
from magnetar.processes.watch import ExitStatus, children

_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper(enabled: bool = True) -> None:  # noqa: FBT001, FBT002
    """Make this process the parent of its descendants' orphans (Linux 3.4 and later), or end that."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, int(enabled), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER was refused by the kernel")


class Subreaper:
    """Reaps orphans as they end; the children that someone waits for are left to them."""

    def __init__(self) -> None:
        self.family = Family(reaped_here=True)

    @contextmanager
    def installed(self) -> Iterator[Self]:
        """Be the subreaper, and hear of ended children, while the context is open; the main thread only."""
        loop = asyncio.get_running_loop()
        become_subreaper()
        loop.add_signal_handler(signal.SIGCHLD, self.reap)
        try:
            yield self
        finally:
            loop.remove_signal_handler(signal.SIGCHLD)
            become_subreaper(enabled=False)

    def reap(self) -> None:
        """Take the status of every ended orphan.

        A child of this process's own session was started by the program around the worker, which waits for it itself:
        whatever the launcher starts leads a session of its own.
        """
        session = os.getsid(0)
        for pid in children(os.getpid()) - self.family.pids:
            try:
                if os.getsid(pid) == session:
                    continue
                result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
            except (ChildProcessError, ProcessLookupError):
                continue
            if result is not None:
                exited = result.si_code == os.CLD_EXITED
                status = ExitStatus(code=result.si_status) if exited else ExitStatus(signal=result.si_status)
                self.family.note_end(pid, status)
