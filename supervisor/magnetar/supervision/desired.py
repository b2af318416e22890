"""What should run on this host, as coordination tells it, and the difference from what is supervised. Pure."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from magnetar_instance.proto.function import STOPPED, Assignment, FunctionDetails, FunctionMetaData

from magnetar.runtimes.base import FunctionSpec, function_of


@dataclass(frozen=True)
class Desired:
    """One instance that this worker is to supervise; `running` is false for one that a user has stopped."""

    metadata: FunctionMetaData
    instance_id: int

    @property
    def fqfn(self) -> str:
        """The function's name as `tenant/namespace/name`."""
        details = self.metadata.functionDetails
        return f"{details.tenant}/{details.namespace}/{details.name}"

    @property
    def fqiid(self) -> str:
        """The instance's name as `tenant/namespace/name:id`, Pulsar's spelling."""
        return f"{self.fqfn}:{self.instance_id}"

    @property
    def running(self) -> bool:
        """Whether it is to run: an instance without a recorded state is (Pulsar's workers agree).

        A function as a whole runs unless every instance was stopped.
        """
        states = self.metadata.instanceStates
        if self.is_whole_function:
            return not states or any(state != STOPPED for state in states.values())
        return states.get(self.instance_id) != STOPPED

    @property
    def is_whole_function(self) -> bool:
        """Whether this stands for all instances of a function, which something else keeps alive."""
        return self.instance_id < 0

    @property
    def function(self) -> FunctionSpec:
        """The function as a whole."""
        return function_of(self.metadata)

    @cached_property
    def fingerprint(self) -> str:
        """What changes when a running instance can't stay as it is.

        A mere new version, a stopped sibling, another number of instances: they change nothing.
        """
        details = FunctionDetails()
        details.CopyFrom(self.metadata.functionDetails)
        if not self.is_whole_function:
            details.ClearField("parallelism")
        parts = (details, self.metadata.packageLocation, self.metadata.functionAuthSpec)
        digest = hashlib.sha256()
        for part in parts:
            text = part.SerializeToString(deterministic=True)
            digest.update(len(text).to_bytes(8, "big") + text)
        return digest.hexdigest()

    def runs_the_same_as(self, other: "Desired") -> bool:
        """Whether a running instance can stay as it is."""
        return self.running == other.running and self.fingerprint == other.fingerprint


@dataclass(frozen=True)
class Plan:
    """The actions that lead from what is supervised to what is desired."""

    add: tuple[Desired, ...]
    change: tuple[Desired, ...]
    remove: tuple[str, ...]


def desired_here(assignments: Mapping[str, Assignment], worker_id: str) -> dict[str, Desired]:
    """Pick the assignments of this worker, by `tenant/namespace/name:id`."""
    mine = (assignment for assignment in assignments.values() if assignment.workerId == worker_id)
    wanted = (Desired(item.instance.functionMetaData, item.instance.instanceId) for item in mine)
    return {desired.fqiid: desired for desired in wanted}


def plan(current: Mapping[str, Desired], wanted: Mapping[str, Desired]) -> Plan:
    """Compare what is supervised with what is desired; both by `tenant/namespace/name:id`."""
    return Plan(
        add=tuple(desired for fqiid, desired in wanted.items() if fqiid not in current),
        change=tuple(desired for fqiid, desired in wanted.items() if fqiid in current and desired != current[fqiid]),
        remove=tuple(fqiid for fqiid in current if fqiid not in wanted),
    )
