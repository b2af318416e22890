"""Which launcher belongs to a data directory, and the end of the one before."""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

from magnetar_instance.guardian import SOCKET
from magnetar_instance.spawner import marked

from magnetar.processes.identity import Identity, read_record, write_record
from magnetar.processes.watch import signal_group, signal_one

_RECORD = "launcher.json"
_PATIENCE = 30.0
"""Seconds that a launcher has to end what was its own, politely where it is a guardian, until it is killed itself."""


@dataclass(frozen=True)
class Survival:
    """How long instances outlive a worker, and what they are given to end then; seconds."""

    survive_for: float
    grace: float


class LauncherHome:
    """A worker's directory, where the next worker finds what this one's launcher was, and its guardian."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def log_file(self) -> Path:
        """Where a guardian says what goes wrong with it."""
        return self._directory / "guardian.log"

    @property
    def directory(self) -> Path:
        """The directory itself."""
        return self._directory

    @property
    def launcher(self) -> Identity | None:
        """The launcher that was started last, whether it lives or not."""
        return Identity.from_record(read_record(self._directory / _RECORD))

    @property
    def mark(self) -> str:
        """What the marker of each of its processes begins with."""
        return str(read_record(self._directory / _RECORD).get("mark") or "")

    def note(self, pid: int, mark: str) -> None:
        """Write down the launcher that runs now."""
        with suppress(OSError):
            write_record(self._directory / _RECORD, Identity.of(pid), {"mark": mark})

    def connect(self) -> socket.socket | None:
        """Return a connection to the guardian, None when there is none that still takes one."""
        try:
            # A path through a descriptor may be of any length, and an address of this family may not.
            directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return None
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.connect(f"/proc/self/fd/{directory}/{SOCKET}")
        except OSError:
            made.close()
            return None
        finally:
            os.close(directory)
        return made

    async def until_free(self) -> None:
        """Wait until the launcher before has ended with all that was its own: what is started now has no double."""
        identity = self.launcher
        if identity is not None:
            await identity.end(_PATIENCE)
        if mark := self.mark:
            for pid in marked(mark):
                signal_group(pid, SIGKILL)
                signal_one(pid, SIGKILL)
