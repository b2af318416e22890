"""What the rest of the worker sees of coordination: functions, assignments, leadership."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from magnetar_instance.proto.function import Assignment, FunctionMetaData


@dataclass(frozen=True)
class WorkerInfo:
    """A member of the fleet, as Pulsar spells it in the participants' names: `workerId:hostname:port`."""

    worker_id: str
    hostname: str
    port: int


class DrainState(StrEnum):
    """How far the drain of a worker is, in Pulsar's words."""

    NOT_RUN = "NOT_RUN"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    ERROR = "ERROR"


@dataclass(frozen=True)
class DrainStatus:
    """How the drain of a worker is getting on, with the reason of a failure."""

    state: DrainState
    last_error: str = ""


class Coordination(Protocol):
    """The three topics of Pulsar's workers, seen from one worker; the mappings are snapshots that never change."""

    @property
    def functions(self) -> Mapping[str, FunctionMetaData]:
        """All functions, sources and sinks by `tenant/namespace/name`."""

    @property
    def assignments(self) -> Mapping[str, Assignment]:
        """All assignments by `tenant/namespace/name:instance`."""

    @property
    def is_leader(self) -> bool:
        """Whether this worker leads and holds the exclusive producers."""

    @property
    def generation(self) -> int:
        """A number that rises with every change of functions, assignments or this worker's leadership."""

    async def changed(self, seen: int) -> int:
        """Wait until `generation` is above `seen`; returns it."""

    async def write(self, metadata: FunctionMetaData) -> None:
        """Write a function's new metadata through the leader and schedule.

        Raises OutOfDateError when `metadata.version` is not above the current one, NotReadyError without a leader.
        """

    async def delete(self, metadata: FunctionMetaData) -> None:
        """Delete a function through the leader; `metadata.version` must be above the current one. Raises as `write`."""

    async def members(self) -> list[WorkerInfo]:
        """Ask the broker for the workers of the fleet."""

    async def leader(self) -> WorkerInfo | None:
        """Ask the broker for the leader."""

    async def rebalance(self) -> None:
        """Move instances until no worker has two more than another.

        Raises NotReadyError on a worker that does not lead, RefusedError in a fleet of one or while it is under way.
        """

    async def drain(self, worker_id: str) -> None:
        """Move everything off a worker, which gets nothing new until it has left the fleet.

        Raises NotReadyError on a worker that does not lead, BusyError while another is being drained, DrainedError when it
        was drained before, RefusedError when it is not in the fleet or nobody else is.
        """

    async def drain_status(self, worker_id: str) -> DrainStatus:
        """Return how a drain is getting on. Raises NotReadyError on a worker that does not lead."""
