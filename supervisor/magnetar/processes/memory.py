"""What the kernel tells of a shortage of memory."""

from pathlib import Path

_STATISTICS = Path("/proc/vmstat")


def oom_kills() -> int:
    """Return how many processes the kernel has killed for want of memory since boot; 0 where that is not told."""
    try:
        lines = _STATISTICS.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
