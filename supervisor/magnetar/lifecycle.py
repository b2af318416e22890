"""The life of an instance as one table: states, events and what follows; every pair is decided here.

    pending --place--> starting --ready--> running <--progress/stall--> unhealthy
       |                  |                   |                            |
       |                  +------ end --------+------------- end ----------+--> backing-off | crash-looping
       +--refuse--> failed <--refuse-- starting
    any --ask to stop--> stopping --end--> stopped

`failed` and `stopped` are left by an update or a restart alone.
"""

from enum import StrEnum


class Phase(StrEnum):
    """Where an instance is in its life; the words are those of status, REST, metrics and documentation."""

    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    UNHEALTHY = "unhealthy"
    STOPPING = "stopping"
    BACKING_OFF = "backing-off"
    CRASH_LOOPING = "crash-looping"
    FAILED = "failed"
    STOPPED = "stopped"


class Event(StrEnum):
    """What happens to an instance."""

    SPAWN = "spawn"
    READY = "ready"
    STALL = "stall"
    RECOVER = "recover"
    END = "end"
    LOOP = "loop"
    REFUSE = "refuse"
    STOP = "stop"


class ImpossibleError(Exception):
    """Raised for an event that can't happen in a phase: a defect of the supervisor, never of a function."""


_WAITING = (Phase.PENDING, Phase.BACKING_OFF, Phase.CRASH_LOOPING, Phase.FAILED, Phase.STOPPED)
_ALIVE = (Phase.STARTING, Phase.RUNNING, Phase.UNHEALTHY)

TRANSITIONS: dict[tuple[Phase, Event], Phase] = {
    **{(phase, Event.SPAWN): Phase.STARTING for phase in _WAITING},
    **{(phase, Event.REFUSE): Phase.FAILED for phase in (*_WAITING, *_ALIVE)},
    **{(phase, Event.END): Phase.BACKING_OFF for phase in (*_ALIVE, Phase.PENDING, Phase.CRASH_LOOPING)},
    **{(phase, Event.LOOP): Phase.CRASH_LOOPING for phase in (*_ALIVE, Phase.PENDING, Phase.BACKING_OFF)},
    **{(phase, Event.STOP): Phase.STOPPING for phase in _ALIVE},
    **{(phase, Event.STOP): Phase.STOPPED for phase in _WAITING},
    (Phase.STARTING, Event.READY): Phase.RUNNING,
    (Phase.RUNNING, Event.STALL): Phase.UNHEALTHY,
    (Phase.UNHEALTHY, Event.RECOVER): Phase.RUNNING,
    (Phase.STOPPING, Event.END): Phase.STOPPED,
    # What a living instance says while it is being stopped changes nothing; nor does a second request to stop.
    **{(Phase.STOPPING, event): Phase.STOPPING for event in (Event.READY, Event.STALL, Event.RECOVER, Event.STOP)},
    (Phase.STOPPING, Event.REFUSE): Phase.STOPPED,
    (Phase.STOPPING, Event.LOOP): Phase.STOPPED,
}


def after(phase: Phase, event: Event) -> Phase:
    """Return the phase that follows, or raise ImpossibleError."""
    try:
        return TRANSITIONS[phase, event]
    except KeyError:
        raise ImpossibleError(f"an instance that is {phase} can't have the event {event}") from None
