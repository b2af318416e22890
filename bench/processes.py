"""What processes take, read from the kernel."""

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil


def spent(processes: Iterable[psutil.Process]) -> float:
    """Return processor seconds as the kernel's scheduler counts them: to the nanosecond, and not by ticks."""
    return sum(_ran(path) for each in processes for path in Path(f"/proc/{each.pid}/task").glob("*/schedstat")) / 1e9


def shares(groups: Sequence[Sequence[psutil.Process]], seconds: float) -> tuple[float, ...]:
    """Look on for so many seconds; return the share of a core that each group takes meanwhile, in percent."""
    before, at = [spent(group) for group in groups], time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - at
    return tuple(100 * (spent(group) - earlier) / passed for group, earlier in zip(groups, before, strict=True))


def _ran(schedstat: Path) -> int:
    with suppress(OSError):
        return int(schedstat.read_text().split()[0])
    return 0


def resident(processes: Iterable[psutil.Process]) -> int:
    """Return the bytes of memory that processes have in use, what they share counted for each."""
    return sum(int(each.memory_info().rss) for each in processes)
