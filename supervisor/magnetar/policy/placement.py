"""Where instances run: what the leader publishes so that each wanted instance has one worker. Pure.

The rules are those of Pulsar's RoundRobinScheduler; ties go by name, so that the same input gives the same plan. Instances
and assignments are told by `tenant/namespace/name:id`. A heartbeat function is named after the worker that it runs on.
"""

import heapq
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from magnetar_instance.proto.function import Assignment, FunctionMetaData, Instance

from magnetar.model.names import fqiid, name_of

# One assignment stands for all instances where something else spreads them (Kubernetes).
_ALL_INSTANCES = -1
_HEARTBEAT = ("pulsar-function", "heartbeat")


@dataclass(frozen=True)
class Plan:
    """What to publish: assignments that are new or changed, and the names of those that go."""

    placed: Mapping[str, Assignment] = field(default_factory=dict)
    removed: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.placed or self.removed)


def one_by_one(_: FunctionMetaData) -> bool:
    """Say of every function that its instances are placed one by one."""
    return False


def instances_of(
    functions: Iterable[FunctionMetaData], *, externally_managed: Callable[[FunctionMetaData], bool] = one_by_one
) -> dict[str, Instance]:
    """Return every instance that is wanted; one for each function whose instances another system manages."""
    wanted = {}
    for metadata in functions:
        fqfn = name_of(metadata.functionDetails).fqfn
        parallelism = metadata.functionDetails.parallelism
        for number in [_ALL_INSTANCES] if externally_managed(metadata) else range(parallelism):
            wanted[fqiid(fqfn, number)] = Instance(functionMetaData=metadata, instanceId=number)
    return wanted


def place(wanted: Mapping[str, Instance], assignments: Mapping[str, Assignment], workers: Collection[str]) -> Plan:
    """Plan for the instances that are wanted and the workers that may get new ones.

    What is assigned stays where it is, on a worker that is gone too: only the failure check takes it away. It is published
    anew when its content changed. The others go to whoever has the fewest; without workers they wait.
    """
    kept = {name: assignment for name, assignment in assignments.items() if name in wanted}
    placed = {}
    for name, assignment in kept.items():
        worker = heartbeat_worker(wanted[name]) or assignment.workerId
        if assignment.instance != wanted[name] or assignment.workerId != worker:
            placed[name] = Assignment(instance=wanted[name], workerId=worker)
    loads = _Loads(kept.values(), workers)
    for name in sorted(wanted.keys() - kept.keys()):
        chosen = heartbeat_worker(wanted[name]) or loads.take()
        if chosen:
            placed[name] = Assignment(instance=wanted[name], workerId=chosen)
    return Plan(placed, tuple(sorted(assignments.keys() - wanted.keys())))


def rebalance(assignments: Mapping[str, Assignment], workers: Collection[str]) -> Plan:
    """Plan to move as few instances as it takes until no worker has two more than another."""
    by_worker: dict[str, list[str]] = {worker: [] for worker in sorted(workers)}
    for name in sorted(assignments):
        movable = heartbeat_worker(assignments[name].instance) is None
        if movable and assignments[name].workerId in by_worker:
            by_worker[assignments[name].workerId].append(name)
    placed = {}
    while by_worker:
        most = max(by_worker, key=lambda worker: len(by_worker[worker]))
        least = min(by_worker, key=lambda worker: len(by_worker[worker]))
        if len(by_worker[most]) - len(by_worker[least]) <= 1:
            break
        name = by_worker[most].pop(0)
        by_worker[least].append(name)
        placed[name] = Assignment(instance=assignments[name].instance, workerId=least)
    return Plan(placed)


def without_worker(assignments: Mapping[str, Assignment], worker: str) -> dict[str, Assignment]:
    """Return the assignments as they are once a worker has given up its instances; its heartbeat stays."""
    return {
        name: assignment
        for name, assignment in assignments.items()
        if assignment.workerId != worker or heartbeat_worker(assignment.instance) is not None
    }


def heartbeat_worker(instance: Instance) -> str | None:
    """Return the worker that a heartbeat function belongs to; None for every other function."""
    details = instance.functionMetaData.functionDetails
    return details.name if (details.tenant, details.namespace) == _HEARTBEAT else None


class _Loads:
    """How many instances each worker has, the fewest first."""

    def __init__(self, assignments: Iterable[Assignment], workers: Collection[str]) -> None:
        counts = Counter(assignment.workerId for assignment in assignments)
        self._heap = [(counts[worker], worker) for worker in workers]
        heapq.heapify(self._heap)

    def take(self) -> str | None:
        """Return the worker with the fewest and count one more for it; None without workers."""
        if not self._heap:
            return None
        count, worker = self._heap[0]
        heapq.heapreplace(self._heap, (count + 1, worker))
        return worker
