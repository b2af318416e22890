"""What names a process for ever, however often its number is given away again, and the records that hold it."""

import json
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import anyio
from magnetar_instance.spawn import boot_id, start_time

from magnetar.processes.watch import until_ended


@dataclass(frozen=True)
class Identity:
    """A process of this host: its number, its start in the kernel's ticks since boot, and which boot."""

    pid: int
    start_time: int
    boot_id: str

    @classmethod
    def of(cls, pid: int) -> Self:
        """Return who has this number now."""
        return cls(pid, start_time(pid), boot_id())

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Identity | None":
        """Read the identity in a record; None when it holds none."""
        pid, started, boot = (record.get(name) for name in ("pid", "startTime", "bootId"))
        if isinstance(pid, int) and isinstance(started, int) and isinstance(boot, str):
            return cls(pid, started, boot)
        return None

    @property
    def alive(self) -> bool:
        """Whether it is this very process that has the number now, and it has not ended (waited for or not)."""
        return self.start_time > 0 and self == Identity.of(self.pid) and not _is_zombie(self.pid)

    def open(self) -> int | None:
        """Return a pidfd of it, None when it has ended: what is looked at through it is no other process."""
        try:
            pidfd = os.pidfd_open(self.pid)
        except OSError:
            return None
        if self.alive:
            return pidfd
        os.close(pidfd)
        return None

    async def end(self, patience: float) -> None:
        """Wait for its end, and after so many seconds kill it."""
        pidfd = self.open()
        if pidfd is None:
            return
        try:
            with anyio.move_on_after(patience):
                await until_ended(pidfd)
                return
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            await until_ended(pidfd)
        finally:
            os.close(pidfd)


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "Z"


def read_record(path: Path) -> dict[str, Any]:
    """Return a record, empty when there is none or it can't be read."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def write_private(path: Path, text: str) -> None:
    """Write a file whole or not at all, for this user alone. Raises OSError."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as opened:  # noqa: PTH123 - it has its mode from the beginning
        opened.write(text)
    partial.replace(path)


def write_record(path: Path, identity: Identity, facts: Mapping[str, object]) -> None:
    """Write a record whole or not at all. Raises OSError."""
    told = asdict(identity)
    record = {**facts, "pid": told["pid"], "startTime": told["start_time"], "bootId": told["boot_id"]}
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(record), encoding="utf-8")
    partial.replace(path)
