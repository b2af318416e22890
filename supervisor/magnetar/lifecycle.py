"""The life of an instance as one table: states, events and what follows; every pair is decided here.

    pending --spawn--> starting --ready--> running <--recover / stall--> unhealthy
                          |                   |                             |
                          +-------------------+------ end, loop ------------+--> backing-off, crash-looping --> starting
                          |                   |                             |
                          +-------------------+------ finish ---------------+--> stopped
    starting, running, unhealthy --stop--> stopping --end--> stopped
    any that waits --stop--> stopped          any but stopping --refuse--> failed
    pending --adopt--> starting: another worker started it

`failed` and `stopped` are left by an update, a start or a restart alone, which spawn anew.
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

    @property
    def alive(self) -> bool:
        """Whether there is a process or thread, and nobody has asked it to end."""
        return self in {Phase.STARTING, Phase.RUNNING, Phase.UNHEALTHY}


class Event(StrEnum):
    """What happens to an instance.

    `end` is a death that a restart follows, `loop` one too many in a short time, `finish` an end that no restart follows;
    `refuse` is what no restart mends; `adopt` takes over what another worker started.
    """

    SPAWN = "spawn"
    READY = "ready"
    STALL = "stall"
    RECOVER = "recover"
    END = "end"
    LOOP = "loop"
    FINISH = "finish"
    REFUSE = "refuse"
    STOP = "stop"
    ADOPT = "adopt"


class ImpossibleError(Exception):
    """Raised for an event that can't happen in a phase: a defect of the supervisor, never of a function."""


_P, _S, _R, _U, _G = Phase.PENDING, Phase.STARTING, Phase.RUNNING, Phase.UNHEALTHY, Phase.STOPPING
_B, _C, _F, _O = Phase.BACKING_OFF, Phase.CRASH_LOOPING, Phase.FAILED, Phase.STOPPED
_X = None

# What a living instance says while it is being stopped changes nothing; nor does a second request to stop.
_GRID: dict[Phase, tuple[Phase | None, ...]] = {
    #    spawn ready stall recover end loop finish refuse stop adopt
    _P: (_S, _X, _X, _X, _X, _X, _X, _F, _O, _S),
    _S: (_X, _R, _X, _X, _B, _C, _O, _F, _G, _X),
    _R: (_X, _X, _U, _X, _B, _C, _O, _F, _G, _X),
    _U: (_X, _X, _X, _R, _B, _C, _O, _F, _G, _X),
    _G: (_X, _G, _G, _G, _O, _O, _O, _O, _G, _X),
    _B: (_S, _X, _X, _X, _X, _X, _X, _F, _O, _X),
    _C: (_S, _X, _X, _X, _X, _X, _X, _F, _O, _X),
    _F: (_S, _X, _X, _X, _X, _X, _X, _F, _O, _X),
    _O: (_S, _X, _X, _X, _X, _X, _X, _F, _O, _X),
}
TRANSITIONS: dict[tuple[Phase, Event], Phase | None] = {
    (phase, event): follows for phase, row in _GRID.items() for event, follows in zip(Event, row, strict=True)
}
"""For each phase and event the phase that follows, None where the event can't happen."""


def after(phase: Phase, event: Event) -> Phase:
    """Return the phase that follows, or raise ImpossibleError."""
    follows = TRANSITIONS[phase, event]
    if follows is None:
        raise ImpossibleError(f"an instance that is {phase} can't have the event {event}")
    return follows
