"""`/admin/v2/worker/rebalance` and `…/drain`: what the leader does for the fleet; also under bare `/admin`.

A worker that does not lead redirects to the one that does, and names itself where it is the one that is meant.
"""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from magnetar.coordination.base import DrainStatus, WorkerInfo
from magnetar.functions.owners import OwnedElsewhere
from magnetar.rest.answers import ELSEWHERE, DrainProgress, found, refusals
from magnetar.rest.context import RestContext
from magnetar.rest.forms import done
from magnetar.rest.leader_v3 import require_leader

_REFUSED = refusals(400, 409, 412) | ELSEWHERE
_PROGRESS = found(DrainProgress) | ELSEWHERE

WorkerId = Annotated[str, Query(alias="workerId")]


def moves_router(context: RestContext, prefix: str) -> APIRouter:
    """Return the routes under `/admin/v2` or `/admin`."""
    router = APIRouter(prefix=prefix, tags=["worker"], dependencies=[Depends(context.access.super_user)])
    _add_at_leader(router, context)
    _add_for_this_worker(router, context)
    return router


def _add_at_leader(router: APIRouter, context: RestContext) -> None:
    coordination = context.coordination

    @router.put("/worker/rebalance", status_code=204, responses=_REFUSED)
    async def rebalance() -> Response:
        """Spread the instances evenly over the workers."""
        await require_leader(context)
        await coordination.rebalance()
        return done()

    @router.put("/worker/leader/drain", status_code=204, responses=_REFUSED)
    async def drain(worker_id: WorkerId) -> Response:
        """Move everything off a worker."""
        await require_leader(context)
        await coordination.drain(worker_id)
        return done()

    @router.get("/worker/leader/drain", responses=_PROGRESS | refusals(400))
    async def drain_status(worker_id: WorkerId) -> dict[str, str]:
        """Tell how the drain of a worker is getting on."""
        await require_leader(context)
        return _status(await coordination.drain_status(worker_id))


def _add_for_this_worker(router: APIRouter, context: RestContext) -> None:
    coordination = context.coordination

    @router.put("/worker/drain", status_code=204, responses=_REFUSED)
    async def drain_this() -> Response:
        """Move everything off this worker."""
        try:
            await require_leader(context)
        except OwnedElsewhere as leader:
            return _at_leader(context, leader.worker)
        await coordination.drain(context.functions.worker.worker_id)
        return done()

    @router.get("/worker/drain", responses=_PROGRESS)
    async def this_drain() -> Any:
        """Tell how the drain of this worker is getting on."""
        try:
            await require_leader(context)
        except OwnedElsewhere as leader:
            return _at_leader(context, leader.worker)
        return _status(await coordination.drain_status(context.functions.worker.worker_id))


def _at_leader(context: RestContext, leader: WorkerInfo) -> Response:
    query = urlencode({"workerId": context.functions.worker.worker_id})
    host = f"{context.settings.scheme}://{leader.hostname}:{leader.port}"
    return Response(status_code=307, headers={"Location": f"{host}/admin/v2/worker/leader/drain?{query}"})


def _status(status: DrainStatus) -> dict[str, str]:
    return {"status": status.state.value, "lastError": status.last_error}
