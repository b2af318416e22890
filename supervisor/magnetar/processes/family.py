"""The processes that were started and have not ended; whoever hears of an end tells it here."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from magnetar.processes.child import Child
from magnetar.processes.watch import ExitStatus


class Family:
    """The children of one parent: of this process (`reaped_here`), or of a launcher that reports how they end.

    A child may end before anyone was told of its start. Such ends are kept while a start is under way and forgotten after
    it: the same number may be another process's next time.
    """

    def __init__(self, *, reaped_here: bool) -> None:
        self._reaped_here = reaped_here
        self._living: dict[int, Child] = {}
        self._early: dict[int, ExitStatus] = {}
        self._expected = 0

    @property
    def pids(self) -> set[int]:
        """The process ids that are waited for here."""
        return set(self._living)

    @contextmanager
    def expecting(self) -> Iterator[None]:
        """Keep ends of unknown processes while the context is open: one of them may be the child that was asked for."""
        self._expected += 1
        try:
            yield
        finally:
            self._expected -= 1
            if not self._expected:
                self._early.clear()

    def adopt(self, pid: int) -> Child:
        """Return a child that was just started, and may have ended."""
        early = self._early.pop(pid, None)
        pidfd = os.pidfd_open(pid) if self._reaped_here and early is None else None
        child = Child(pid, early=early, pidfd=pidfd, forget=self._forget)
        if early is None:
            self._living[pid] = child
        return child

    def ended(self, pid: int, status: ExitStatus) -> Child:
        """Return a child that ended before it could be adopted."""
        return Child(pid, early=status, pidfd=None, forget=self._forget)

    def note_end(self, pid: int, status: ExitStatus) -> None:
        """Note how a process ended, or an orphan that is nobody's."""
        child = self._living.get(pid)
        if child is not None:
            child.ended(status)
        elif self._expected:
            self._early[pid] = status

    def all_gone(self, status: ExitStatus) -> None:
        """Note that every child has ended, as those of a launcher do with it."""
        for child in list(self._living.values()):
            child.ended(status)

    def _forget(self, pid: int) -> None:
        self._living.pop(pid, None)
