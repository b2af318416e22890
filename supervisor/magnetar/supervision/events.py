"""What happened to an instance lately, for those who ask why it is as it is."""

from collections import deque
from dataclasses import dataclass

from magnetar.lifecycle import Event, Phase

KEPT = 50
"""Events that are kept of each instance."""


@dataclass(frozen=True)
class InstanceEvent:
    """One event and the phase that it led to; `at` is in seconds since the epoch, `number` counts those of the instance."""

    number: int
    at: float
    event: Event
    phase: Phase
    reason: str = ""
    pid: int | None = None


class EventLog:
    """The last events of one instance."""

    def __init__(self) -> None:
        self._kept: deque[InstanceEvent] = deque(maxlen=KEPT)
        self._count = 0

    def add(self, at: float, event: Event, phase: Phase, reason: str, pid: int | None) -> InstanceEvent:
        """Keep an event, and forget the oldest one."""
        self._count += 1
        added = InstanceEvent(self._count, at, event, phase, reason, pid)
        self._kept.append(added)
        return added

    def since(self, number: int = 0) -> list[InstanceEvent]:
        """Return those with a higher number, oldest first."""
        return [event for event in self._kept if event.number > number]
