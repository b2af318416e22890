"""What the rest of the worker sees of the supervised instances of this host."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from magnetar_instance.proto.control import FunctionStatus, MetricsData

from magnetar.lifecycle import Phase
from magnetar.supervision.events import InstanceEvent
from magnetar.supervision.refusal import Refusal


@dataclass(frozen=True)
class InstanceView:
    """One instance as it is now; times are seconds since the epoch."""

    fqfn: str
    instance_id: int
    worker: str
    runtime: str
    phase: Phase
    reason: str = ""
    pid: int | None = None
    started_at: float | None = None
    restarts: int = 0
    grpc_port: int | None = None
    metrics_port: int | None = None
    rss_bytes: int | None = None
    log_file: Path | None = None
    next_start_at: float | None = None

    @property
    def fqiid(self) -> str:
        """The instance's name as `tenant/namespace/name:id`, Pulsar's spelling."""
        return f"{self.fqfn}:{self.instance_id}"


class LocalInstances(Protocol):
    """The instances that this worker runs or is told to run."""

    def views(self) -> list[InstanceView]:
        """Return every instance assigned to this worker, stopped and failed ones included, sorted by name and id."""

    def names(self) -> list[str]:
        """Return the name of every instance assigned to this worker, as `tenant/namespace/name:id`."""

    def view(self, fqiid: str) -> InstanceView | None:
        """Return one instance, or None when it is not assigned to this worker."""

    def events(self, fqiid: str, since: int = 0) -> list[InstanceEvent]:
        """Return an instance's last events with a number above `since`, oldest first; none of one that is unknown."""

    def refusal(self, fqfn: str) -> Refusal | None:
        """Return the version of a function that this worker does not try, for it failed here or elsewhere."""

    async def status(self, fqiid: str) -> FunctionStatus:
        """Ask a running instance (5 s at most). Raises ConnectionError when it is not running or does not answer."""

    async def metrics(self, fqiid: str) -> MetricsData:
        """Ask a running instance for its figures. Raises ConnectionError as `status` does."""

    def set_log_level(self, fqiid: str, level: str, seconds: float | None) -> None:
        """Set the level of an instance's log. Raises ConnectionError when it is not running, RefusedError when it can't."""

    async def restart(self, fqiid: str) -> None:
        """Stop an instance and start it anew, whatever its phase; returns once the new start was begun."""


class ObservedInstances(Protocol):
    """The instances of this worker for those who follow their changes."""

    def views(self) -> list[InstanceView]:
        """Return every instance assigned to this worker."""

    def events(self, fqiid: str, since: int = 0) -> list[InstanceEvent]:
        """Return an instance's last events with a number above `since`, oldest first; none of one that is unknown."""

    @property
    def generation(self) -> int:
        """A number that rises whenever an instance comes, goes or changes its phase."""

    async def changed(self, seen: int) -> int:
        """Wait until `generation` is above `seen`; returns it."""
