"""Which workers of the fleet have been drained: they keep their place in it and get nothing new until they leave."""

from collections.abc import Collection

from magnetar.coordination.base import DrainState, DrainStatus
from magnetar.errors import BusyError, DrainedError, RefusedError

_NOT_RUN = DrainStatus(DrainState.NOT_RUN)


class Drains:
    """The drains of one term, one at a time."""

    def __init__(self) -> None:
        self._known: dict[str, DrainStatus] = {}

    @property
    def workers(self) -> frozenset[str]:
        """The workers that get nothing new."""
        closed = (DrainState.RUNNING, DrainState.SUCCESS)
        return frozenset(worker for worker, status in self._known.items() if status.state in closed)

    def begin(self, worker_id: str, members: Collection[str]) -> None:
        """Begin to drain a member. Raises BusyError, DrainedError, and RefusedError for a worker that can't be drained."""
        for other, status in self._known.items():
            if status.state is DrainState.RUNNING:
                raise BusyError(f"worker {other} is being drained: wait until it has been")
        if worker_id not in members:
            raise RefusedError(
                f"worker {worker_id!r} is not in the fleet; its members are {', '.join(sorted(members))}"
            )
        if worker_id in self.workers:
            raise DrainedError(f"worker {worker_id} was drained before; stop it, or start it anew")
        if len(set(members) - self.workers) <= 1:
            raise RefusedError(f"worker {worker_id} is the only one that takes instances: start another one first")
        self._known[worker_id] = DrainStatus(DrainState.RUNNING)

    def end(self, worker_id: str, error: str = "") -> None:
        """Tell how a drain ended."""
        self._known[worker_id] = DrainStatus(DrainState.ERROR if error else DrainState.SUCCESS, error)

    def status(self, worker_id: str, members: Collection[str]) -> DrainStatus:
        """Return how the drain of a worker is getting on."""
        if worker_id not in members:
            return DrainStatus(DrainState.ERROR, f"worker {worker_id!r} is not in the fleet")
        return self._known.get(worker_id, _NOT_RUN)

    def forget_all_but(self, members: Collection[str]) -> None:
        """Forget workers that have left: who comes back takes part as a new one."""
        self._known = {worker: status for worker, status in self._known.items() if worker in members}
