"""When an instance on a worker that is gone is given to another one. Pure; times are seconds on a monotonic clock."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from magnetar_instance.proto.function import Assignment, Instance

from magnetar.policy.placement import heartbeat_worker


@dataclass(frozen=True)
class Homeless:
    """Since when instances have had no living worker, by their names."""

    since: Mapping[str, float] = field(default_factory=dict)

    def overdue(self, now: float, timeout: float) -> frozenset[str]:
        """Return those that have waited for `timeout`."""
        return frozenset(name for name, since in self.since.items() if now - since >= timeout)

    def next_due(self, timeout: float) -> float | None:
        """Return when the next of them will be overdue; None when there are none."""
        return min(self.since.values()) + timeout if self.since else None


def check(
    known: Homeless,
    wanted: Mapping[str, Instance],
    assignments: Mapping[str, Assignment],
    workers: Collection[str],
    now: float,
) -> Homeless:
    """Return who is homeless now: wanted, and without an assignment to a member of the fleet.

    Who was homeless before keeps its time; who has a worker again, or is no longer wanted, is forgotten. Heartbeat functions
    wait for their own worker.
    """
    homeless = {}
    for name, instance in wanted.items():
        assignment = assignments.get(name)
        placed = assignment is not None and assignment.workerId in workers
        if not placed and heartbeat_worker(instance) is None:
            homeless[name] = known.since.get(name, now)
    return Homeless(homeless)
