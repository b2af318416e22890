"""What happened to an instance lately, for those who ask why it is as it is."""

from collections import deque
from dataclasses import dataclass
from logging import ERROR, INFO, WARNING

from structlog.stdlib import BoundLogger

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


_SENTENCES: dict[Event, tuple[int, str]] = {
    Event.SPAWN: (INFO, "The instance is being started."),
    Event.READY: (INFO, "The instance is subscribed and running."),
    Event.STALL: (WARNING, "The instance is unhealthy."),
    Event.RECOVER: (INFO, "The instance is healthy again."),
    Event.END: (WARNING, "The instance ended."),
    Event.LOOP: (WARNING, "The instance ended again, and counts as crash-looping."),
    Event.FINISH: (INFO, "The instance ended, and is not started again."),
    Event.REFUSE: (ERROR, "The instance can't run until it is updated or restarted."),
    Event.STOP: (INFO, "The instance is to stop."),
    Event.ADOPT: (INFO, "The instance is taken over from the worker before."),
}


def log_event(logger: BoundLogger, event: InstanceEvent) -> None:
    """Write an event into the worker's log, as everyone else is told of it."""
    level, sentence = _SENTENCES[event.event]
    if event.event is Event.END and event.phase is Phase.STOPPED:
        level = INFO  # as it was asked to
    facts: dict[str, object] = {"happened": event.event.value, "phase": event.phase.value}
    if event.pid is not None:
        facts["pid"] = event.pid
    if event.reason:
        facts["reason"] = event.reason
    logger.log(level, sentence, **facts)
