"""`/admin/v2/worker` and `/admin/v2/worker-stats`: the fleet and this worker's figures; also under bare `/admin`."""

import os
from typing import Any

import psutil
from fastapi import APIRouter, Depends
from magnetar_instance.proto.function import Assignment

from magnetar.coordination.base import WorkerInfo
from magnetar.errors import NotReadyError, RequestError
from magnetar.rest.answers import WorkerInfo as WorkerAnswer
from magnetar.rest.answers import found
from magnetar.rest.context import RestContext


class NoLeaderError(RequestError):
    """Raised when the broker names no leader; 500, as Pulsar answers."""


def worker_router(context: RestContext, prefix: str) -> APIRouter:
    """Return the routes of the worker under `/admin/v2` or `/admin`."""
    router = APIRouter(prefix=prefix, tags=["worker"], dependencies=[Depends(context.access.super_user)])
    _add_fleet(router, context)
    _add_placement(router, context)
    _add_figures(router, context)
    return router


def _add_fleet(router: APIRouter, context: RestContext) -> None:
    coordination = context.coordination

    @router.get("/worker/cluster", responses=found(list[WorkerAnswer]))
    async def cluster() -> list[dict[str, Any]]:
        """List the workers of the fleet."""
        return [_info(worker) for worker in await coordination.members()]

    @router.get("/worker/cluster/leader", responses=found(WorkerAnswer))
    async def leader() -> dict[str, Any]:
        """Return the worker that leads the fleet."""
        found = await coordination.leader()
        if found is None:
            raise NoLeaderError("Leader cannot be determined: no worker has subscribed to the coordination topic")
        return _info(found)

    @router.get("/worker/cluster/leader/ready")
    async def leader_ready() -> bool:
        """Tell whether this worker leads and is ready to."""
        if not coordination.is_leader:
            raise NotReadyError("this worker does not lead the fleet")
        return True


def _add_placement(router: APIRouter, context: RestContext) -> None:
    coordination = context.coordination

    @router.get("/worker/assignments")
    async def assignments() -> dict[str, list[str]]:
        """Return which worker has which instances."""
        by_worker: dict[str, list[str]] = {}
        for fqiid, assignment in sorted(coordination.assignments.items()):
            by_worker.setdefault(_worker_of(assignment), []).append(fqiid)
        return by_worker

    @router.get("/worker/connectors")
    async def connectors() -> list[Any]:
        """List the builtin connectors: there are none on this worker."""
        return []


def _add_figures(router: APIRouter, context: RestContext) -> None:
    @router.get("/worker-stats/functionsmetrics")
    async def functions_metrics() -> list[dict[str, Any]]:
        """Return the figures of this worker's instances."""
        return [{"name": name, "metrics": data.to_json()} for name, data in await context.functions.local_stats()]

    @router.get("/worker-stats/metrics")
    async def worker_metrics() -> list[dict[str, Any]]:
        """Return the figures of the worker's own process."""
        process = psutil.Process(os.getpid())
        times, memory = process.cpu_times(), process.memory_info()
        figures = {
            "process_cpu_user_seconds": times.user,
            "process_cpu_system_seconds": times.system,
            "process_resident_memory_bytes": memory.rss,
            "process_open_fds": process.num_fds(),
            "process_threads": process.num_threads(),
        }
        return [{"metrics": figures, "dimensions": {"metric": "process"}}]


def _info(worker: WorkerInfo) -> dict[str, Any]:
    return {"workerId": worker.worker_id, "workerHostname": worker.hostname, "port": worker.port}


def _worker_of(assignment: Assignment) -> str:
    return assignment.workerId
