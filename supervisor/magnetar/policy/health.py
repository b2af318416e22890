"""When an instance that lives counts as hanging."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HealthPolicy:
    """Seconds that a hanging instance has.

    `patience` is how long health checks may go unanswered until it is ended. `stall_after` is how long the messages that it
    has taken in may wait without one being finished until it is unhealthy, and its stacks are in its log; `stall_timeout`
    how long until it is ended, None for as long as it takes: a function may need hours for a message.
    """

    patience: float = 90.0
    stall_after: float = 60.0
    stall_timeout: float | None = None
