"""A function's `resources` as limits of its instances: by a control group where the host gives one, else without."""

from collections.abc import Callable
from dataclasses import dataclass
from signal import SIGKILL
from types import TracebackType
from typing import Self

from magnetar_instance.proto.function import FunctionDetails
from structlog.stdlib import BoundLogger

from magnetar.processes.cgroups import ControlGroup, ControlGroups, Limits, delegated
from magnetar.processes.child import Child
from magnetar.processes.memory_watch import MemoryWatch
from magnetar.runtimes.choice import language_of
from magnetar.runtimes.process.settings import LimitSettings

_MEBIBYTE = 2**20
_JAVA_OVERHEAD = 128 * _MEBIBYTE


def limits_of(details: FunctionDetails, pids: int) -> Limits:
    """Return a function's limits. Its ram is the heap of a Java instance, which needs a quarter and 128 MiB beside it."""
    asked = details.resources
    memory = asked.ram + asked.ram // 4 + _JAVA_OVERHEAD if language_of(details) == "JAVA" else asked.ram
    return Limits(asked.cpu or None, memory if asked.ram else None, pids or None)


@dataclass
class Confined:
    """One instance's limits, and whether it passed that of its memory."""

    limits: Limits
    group: ControlGroup | None = None
    groups: ControlGroups | None = None
    used: int = 0

    def reason(self) -> str:
        """Return why the instance was killed, if that was for its memory."""
        allowed = (self.limits.memory or 0) // _MEBIBYTE
        if self.group is not None and self.group.oom_kills():
            return f"killed by the kernel: out of memory, its resources.ram allow {allowed} MiB (signal SIGKILL)"
        if self.used:
            return f"killed: out of memory, it used {self.used // _MEBIBYTE} MiB and its resources.ram allow {allowed}"
        return ""

    def remove(self) -> None:
        """Remove its group, whose processes have ended."""
        if self.group is not None and self.groups is not None:
            self.groups.remove(self.group)

    def kill_leftovers(self) -> None:
        """Kill whom it left behind, those included that no longer show whose they are."""
        if self.group is not None:
            self.group.kill()

    def exceeded(self, child: Child, used: int) -> None:
        """End the instance for the memory that it uses."""
        self.used = used
        child.signal(SIGKILL)


class Confinement:
    """Confines the instances of a worker; an async context manager, opened before the first."""

    def __init__(self, settings: LimitSettings, logger: BoundLogger) -> None:
        self._settings = settings
        self._log = logger
        self._groups: ControlGroups | None = None
        self._watch = MemoryWatch()

    @property
    def no_new_privileges(self) -> bool:
        """Whether an instance may not gain rights by what it executes."""
        return self._settings.no_new_privileges

    async def __aenter__(self) -> Self:
        await self._watch.__aenter__()
        if self._settings.enforce:
            self._groups = self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._watch.__aexit__(kind, error, trace)

    def _open(self) -> ControlGroups | None:
        why = "no group of cgroup v2 with cpu, memory and pids is delegated to this worker (systemd: Delegate=yes)"
        if (root := delegated()) is not None:
            groups = ControlGroups(root)
            try:
                groups.open()
            except OSError as error:
                why = str(error)
            else:
                return groups
        self._log.warning(
            "Limits are kept without the kernel: memory is looked at each second, files are bounded, cpu and pids are not.",
            reason=why,
        )
        return None

    def confine(self, details: FunctionDetails, key: str) -> Confined | None:
        """Return the limits of an instance, with its group where there is one. Raises OSError."""
        if not self._settings.enforce:
            return None
        limits = limits_of(details, self._settings.pids)
        return Confined(limits, self._groups.make(key, limits) if self._groups else None, self._groups)

    def resource_limits(self, details: FunctionDetails) -> dict[str, int]:
        """Return what the kernel keeps for one process: its `disk` is how large a file of its may become."""
        disk = details.resources.disk
        return {"fsize": disk} if self._settings.enforce and disk > 0 else {}

    def attend(self, confined: Confined | None, child: Child) -> Callable[[], None]:
        """See to it that an instance keeps its limits where no group does; returns what ends that."""
        if confined is None or confined.group is not None or confined.limits.memory is None:
            return lambda: None
        return self._watch.watch(child.pid, confined.limits.memory, lambda used: confined.exceeded(child, used))
