"""The fleet of workers: Pulsar's admin API v2."""

from typing import cast

from magnetar.client.calls import WorkerCalls
from magnetar.client.results import WorkerFunctionInstanceStats, WorkerInfo

_BASE = "/admin/v2/worker"
_STATS = "/admin/v2/worker-stats"


class Workers:
    """What can be asked of a fleet through one of its workers."""

    def __init__(self, calls: WorkerCalls) -> None:
        self._calls = calls

    async def cluster(self) -> list[WorkerInfo]:
        """Return the workers of the fleet."""
        found = cast("list[object]", await self._calls.json(f"{_BASE}/cluster"))
        return [WorkerInfo.model_validate(each) for each in found]

    async def leader(self) -> WorkerInfo:
        """Return the worker that leads."""
        return WorkerInfo.model_validate(await self._calls.json(f"{_BASE}/cluster/leader"))

    async def assignments(self) -> dict[str, list[str]]:
        """Return the instances of each worker, by its id."""
        return cast("dict[str, list[str]]", await self._calls.json(f"{_BASE}/assignments"))

    async def rebalance(self) -> None:
        """Spread the instances evenly."""
        await self._calls.call("PUT", f"{_BASE}/rebalance")

    async def drain(self, worker_id: str | None = None) -> None:
        """Move all instances off a worker, by default off the one that is asked (Pulsar 4.x)."""
        if worker_id is None:
            await self._calls.call("PUT", f"{_BASE}/drain")
        else:
            await self._calls.call("PUT", f"{_BASE}/leader/drain", params={"workerId": worker_id})

    async def function_stats(self) -> list[WorkerFunctionInstanceStats]:
        """Return the figures of the asked worker's instances."""
        found = cast("list[object]", await self._calls.json(f"{_STATS}/functionsmetrics"))
        return [WorkerFunctionInstanceStats.model_validate(each) for each in found]

    async def metrics(self) -> list[dict[str, object]]:
        """Return the metrics of the asked worker, in Pulsar's shape."""
        return cast("list[dict[str, object]]", await self._calls.json(f"{_STATS}/metrics"))
