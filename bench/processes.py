"""What processes take, read from the kernel."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil


def spent(processes: Iterable[psutil.Process]) -> float:
    """Return processor seconds as the kernel's scheduler counts them: to the nanosecond, and not by ticks."""
    return sum(_ran(path) for each in processes for path in Path(f"/proc/{each.pid}/task").glob("*/schedstat")) / 1e9


def _ran(schedstat: Path) -> int:
    with suppress(OSError):
        return int(schedstat.read_text().split()[0])
    return 0


def resident(processes: Iterable[psutil.Process]) -> int:
    """Return the bytes of memory that processes have in use, what they share counted for each."""
    return sum(int(each.memory_info().rss) for each in processes)
