"""Limits that the kernel keeps: a control group (cgroup v2) for each process, below the one that this worker was given.

The host delegates one (systemd: `Delegate=yes`), or there is none, and the caller has to do without.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CONTROLLERS = frozenset(("cpu", "memory", "pids"))
_PERIOD = 100_000
_SWAP = "memory.swap.max"
_TURNS = 10
_SELF, _MOUNTS = Path("/proc/self/cgroup"), Path("/proc/self/mounts")


@dataclass(frozen=True)
class Limits:
    """What one process and its children may use: processor cores, bytes of memory, processes; None is no bound."""

    cpu: float | None = None
    memory: int | None = None
    pids: int | None = None


@dataclass(frozen=True)
class ControlGroup:
    """One group; a process joins by writing its number to `members`."""

    path: Path

    @property
    def members(self) -> Path:
        """The file that names the group's processes."""
        return self.path / "cgroup.procs"

    def oom_kills(self) -> int:
        """Return how many of its processes the kernel has killed for want of memory."""
        with suppress(OSError):
            for line in (self.path / "memory.events").read_text(encoding="ascii").splitlines():
                name, _, count = line.partition(" ")
                if name == "oom_kill":
                    return int(count)
        return 0

    def kill(self) -> None:
        """Kill who is left in it, whatever they did to hide (Linux 5.14)."""
        with suppress(OSError):
            (self.path / "cgroup.kill").write_text("1", encoding="ascii")

    def remove(self) -> bool:
        """Remove the group; False while somebody is in it."""
        try:
            self.path.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True


class ControlGroups:
    """The groups below `root`, a group that this worker was given; made by `delegated`."""

    def __init__(self, root: Path) -> None:
        self._instances = root / "magnetar.instances"
        self._root = root
        self._dying: set[ControlGroup] = set()

    def open(self) -> None:
        """Make room for groups: the kernel wants no process in a group that has limited ones below it. Raises OSError."""
        own = self._root / "magnetar.worker"
        own.mkdir(exist_ok=True)
        self._move_all(own / "cgroup.procs")
        self._instances.mkdir(exist_ok=True)
        for group in (self._root, self._instances):
            (group / "cgroup.subtree_control").write_text(
                " ".join(f"+{name}" for name in sorted(CONTROLLERS)), encoding="ascii"
            )
        for left in self._instances.iterdir():
            if left.is_dir():
                ControlGroup(left).remove()

    def _move_all(self, members: Path) -> None:
        """Move every process of this group into another; one that forks meanwhile leaves a child to be moved too."""
        for _ in range(_TURNS):
            pids = (self._root / "cgroup.procs").read_text(encoding="ascii").split()
            if not pids:
                return
            for pid in pids:
                with suppress(ProcessLookupError):
                    members.write_text(pid, encoding="ascii")

    def make(self, name: str, limits: Limits) -> ControlGroup:
        """Return a group with limits, a new one or that of this name. Raises OSError."""
        for dying in list(self._dying):
            self.remove(dying)
        group = ControlGroup(self._instances / name)
        group.path.mkdir(exist_ok=True)
        for file, value in settings_of(limits).items():
            try:
                (group.path / file).write_text(value, encoding="ascii")
            except OSError:
                if file != _SWAP or (group.path / file).exists():
                    raise  # only a kernel that knows no swap lacks a file
        return group

    def remove(self, group: ControlGroup) -> None:
        """Remove a group: now, or once those in it that were killed have ended, when the next group is made."""
        if group.remove():
            self._dying.discard(group)
        else:
            self._dying.add(group)


def settings_of(limits: Limits) -> dict[str, str]:
    """Return what the files of a group are to hold. Memory is that of the whole group, which is killed as one; no swap."""
    settings = {
        "cpu.max": "max" if limits.cpu is None else str(max(1000, round(limits.cpu * _PERIOD))),
        "memory.max": "max" if limits.memory is None else str(limits.memory),
        "pids.max": "max" if limits.pids is None else str(limits.pids),
    }
    settings["cpu.max"] += f" {_PERIOD}"
    return settings | ({} if limits.memory is None else {_SWAP: "0", "memory.oom.group": "1"})


def delegated(own: Path = _SELF, mounts: Path = _MOUNTS) -> Path | None:
    """Return this process's own group, if it may make limited ones below it; the root of all is nobody's own."""
    group, mounted = _own_group(own), _mounted_at(mounts)
    if group is None or mounted is None:
        return None
    root = mounted / group.lstrip("/")
    if root.name == "magnetar.worker":
        root = root.parent  # moved there by an earlier worker of this service
    try:
        controllers = set((root / "cgroup.controllers").read_text(encoding="ascii").split())
    except OSError:
        return None
    writable = all(os.access(root / name, os.W_OK) for name in ("", "cgroup.procs", "cgroup.subtree_control"))
    owned = writable and (root / "cgroup.type").exists()  # the root of all has no type
    return root if owned and controllers >= CONTROLLERS else None


def _own_group(file: Path) -> str | None:
    with suppress(OSError):
        for line in file.read_text(encoding="utf-8").splitlines():
            if line.startswith("0::"):
                return line.removeprefix("0::")
    return None


def _mounted_at(file: Path) -> Path | None:
    with suppress(OSError):
        for line in file.read_text(encoding="utf-8").splitlines():
            fields = line.split(" ")
            if fields[2] == "cgroup2":
                return Path(fields[1].replace("\\040", " "))
    return None
