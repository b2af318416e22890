"""When a log file is rotated, and when it is looked at again. Pure and clock-free."""

from collections.abc import Iterable
from dataclasses import dataclass

LONGEST_LOOK, SHORTEST_LOOK = 2.0, 0.05
"""Seconds between looks at the sizes of log files: while they are quiet, and while one fills fast."""


@dataclass(frozen=True)
class LogPolicy:
    """`files` rotated files are kept of each log, and `total_bytes` of all of one function. In seconds; 0 is no bound."""

    max_bytes: int = 10 * 2**20
    max_age: float = 0
    files: int = 5
    total_bytes: int = 2**30

    def is_due(self, size: int, age: float) -> bool:
        """Whether a log of this size, whose first line is this old, is to be rotated."""
        return size > 0 and (0 < self.max_age <= age or 0 < self.max_bytes <= size)


@dataclass(frozen=True)
class Growth:
    """A log's size at a look, and the bytes a second that it grew by since the look before."""

    size: int
    rate: float = 0.0


def next_look(policy: LogPolicy, logs: Iterable[Growth]) -> float:
    """Return the seconds until the sizes are to be looked at: half of what the fastest log needs to be full."""
    if not policy.max_bytes:
        return LONGEST_LOOK
    full_in = (max(policy.max_bytes - log.size, 0) / log.rate for log in logs if log.rate > 0)
    return max(SHORTEST_LOOK, min(LONGEST_LOOK, min(full_in, default=2 * LONGEST_LOOK) / 2))
