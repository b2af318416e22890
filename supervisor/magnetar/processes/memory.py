"""What the kernel tells of memory: what a process has of it, and a shortage."""

import resource
import sys
from pathlib import Path

import psutil

_STATISTICS = Path("/proc/vmstat")


def oom_kills() -> int:
    """Return how many processes the kernel has killed for want of memory since boot; 0 where that is not told."""
    try:
        lines = _STATISTICS.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def resident(pid: int) -> int | None:
    """Return the bytes of memory that a process has in use; None when it has ended.

    Asked for a thousand processes at a time, so without the figures that a library reads beside it.
    """
    try:
        if sys.platform != "linux":
            return int(psutil.Process(pid).memory_info().rss)
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, psutil.Error):
        return None
