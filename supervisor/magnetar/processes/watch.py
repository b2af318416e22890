"""Waiting for a process's end as the kernel tells it: a pidfd that becomes readable, never a timer."""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass

import anyio
from magnetar_instance import spawner


@dataclass(frozen=True)
class ExitStatus:
    """How a process ended: its exit code, or the signal that ended it; neither when that is not to be had."""

    code: int | None = None
    signal: int | None = None

    @classmethod
    def from_wait(cls, status: int) -> "ExitStatus":
        """Read a status of `waitpid`."""
        code = os.waitstatus_to_exitcode(status)
        return cls(code=code) if code >= 0 else cls(signal=-code)


async def until_ended(pidfd: int) -> None:
    """Wait until the process of a pidfd has ended; it needs not be our child."""
    await anyio.wait_readable(pidfd)


def reap(pidfd: int) -> ExitStatus | None:
    """Take the exit status of an ended child, or None when it is not our child (or was reaped elsewhere)."""
    try:
        result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if result is None:
        return None
    if result.si_code == os.CLD_EXITED:
        return ExitStatus(code=result.si_status)
    return ExitStatus(signal=result.si_status)


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to the process group that `pid` leads; an empty group is no error.

    A process that was forked a moment ago leads none yet: the signal goes to it alone.
    Must be called before the leader is reaped: until then its number can't be given to another process.
    """
    with suppress(PermissionError):
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            signal_one(pid, number)


def signal_one(pid: int, number: signal.Signals) -> None:
    """Send a signal to one process; one that has ended is no error."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def children(pid: int) -> set[int]:
    """Return the process ids of a process's children, those of all its threads (empty where /proc can't tell)."""
    found: set[int] = set()
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - at every death, so it has to be quick
            with suppress(OSError), open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:  # noqa: PTH123
                found.update(map(int, file.read().split()))
    return found


def environment_of(pid: int) -> dict[bytes, bytes]:
    """Return the environment that a process was started with; empty when it has ended or is another user's."""
    pairs = spawner.environment_of(pid).split(b"\0")
    return {key: value for key, separator, value in (pair.partition(b"=") for pair in pairs) if separator}
