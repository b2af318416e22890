"""What is known of one supervised instance, written by its own task alone."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from magnetar.lifecycle import Event, Phase, after
from magnetar.policy.restart import History
from magnetar.processes.memory import resident
from magnetar.runtimes.base import RunningInstance
from magnetar.supervision.base import InstanceView
from magnetar.supervision.events import EventLog, InstanceEvent


@dataclass
class Record:
    """The state of one instance; every change of its phase goes through the transition table.

    `changed` is called after each change of the phase, `told` before with the event. `said` stays when the phase changes.
    """

    fqfn: str
    instance_id: int
    worker: str
    changed: Callable[[], None]
    told: Callable[[InstanceEvent], None] = lambda _: None
    runtime: str = ""
    phase: Phase = Phase.PENDING
    reason: str = ""
    restarts: int = 0
    history: History = field(default_factory=History)
    running: RunningInstance | None = None
    started_at: float | None = None
    ready_since: float | None = None
    next_start_at: float | None = None
    events: EventLog = field(default_factory=EventLog)
    said: str = ""

    def move(self, event: Event, reason: str = "") -> None:
        """Apply an event, and tell of it before anything is done about it; the reason replaces the old one."""
        self.phase = after(self.phase, event)
        self.reason = reason
        self.next_start_at = None
        pid = self.running.pid if self.running else None
        self.told(self.events.add(time.time(), event, self.phase, reason, pid))
        self.changed()

    def explain(self, reason: str) -> None:
        """Replace the reason alone."""
        self.reason = reason
        self.changed()

    def remark(self, text: str) -> None:
        """Say something that stays true whatever the phase, beside the reason; empty takes it back."""
        if text != self.said:
            self.said = text
            self.changed()

    def started(self, instance: RunningInstance) -> None:
        """Note a new process or thread."""
        self.running = instance
        self.started_at = time.time()
        self.ready_since = None

    def ready(self) -> None:
        """Note that the instance is subscribed."""
        if self.phase is Phase.STARTING:
            self.move(Event.READY)
            self.ready_since = time.monotonic()

    def healthy_for(self) -> float:
        """Return for how many seconds the instance has been ready."""
        return 0.0 if self.ready_since is None else time.monotonic() - self.ready_since

    def due_in(self, delay: float) -> None:
        """Note when the next start is due."""
        self.next_start_at = time.time() + delay

    def forget(self) -> None:
        """Start counting anew, as after an update or a restart that a user asked for."""
        self.history, self.restarts, self.said = History(), 0, ""

    def view(self) -> InstanceView:
        """Return a snapshot for everyone else."""
        alive = self.running
        return InstanceView(
            fqfn=self.fqfn,
            instance_id=self.instance_id,
            worker=self.worker,
            runtime=self.runtime,
            phase=self.phase,
            reason="\n".join(filter(None, (self.reason, self.said))),
            pid=alive.pid if alive else None,
            started_at=self.started_at if alive else None,
            restarts=self.restarts,
            grpc_port=alive.grpc_port if alive else None,
            metrics_port=alive.metrics_port if alive else None,
            rss_bytes=resident(alive.pid) if alive and alive.pid and self.runtime == "process" else None,
            log_file=alive.log_file if alive else None,
            next_start_at=self.next_start_at,
        )
