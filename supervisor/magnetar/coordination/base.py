"""What the rest of the worker sees of coordination: functions, assignments, leadership."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from magnetar_instance.proto.function import Assignment, FunctionMetaData


@dataclass(frozen=True)
class WorkerInfo:
    """A member of the fleet, as Pulsar spells it in the participants' names: `workerId:hostname:port`."""

    worker_id: str
    hostname: str
    port: int


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

    async def rebalance(self) -> None:
        """Even out the fleet. Raises NotReadyError where this worker does not lead."""

    async def members(self) -> list[WorkerInfo]:
        """Ask the broker for the workers of the fleet."""

    async def leader(self) -> WorkerInfo | None:
        """Ask the broker for the leader."""
