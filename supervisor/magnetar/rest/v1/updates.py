"""`/magnetar/v1/updates`: the update of a function that this worker does not try, for it failed with an instance."""

from fastapi import APIRouter, Depends
from pydantic import BaseModel

from magnetar.rest.answers import OF_FUNCTION
from magnetar.rest.context import RestContext
from magnetar.rest.paths import Named, P


class FailedUpdate(BaseModel):
    """A version that could not be run, by its fingerprint; with which instance that was found, where, and why."""

    fingerprint: str
    reason: str
    instance: str
    workerId: str  # noqa: N815 - as everywhere


def updates_router(context: RestContext) -> APIRouter:
    """Return the route of updates that failed; what the workers of a fleet ask each other before they try one."""
    router = APIRouter(
        prefix="/magnetar/v1/updates",
        tags=["magnetar"],
        dependencies=[Depends(context.access.namespace)],
        responses=OF_FUNCTION,
    )

    @router.get(f"{P}/failed")
    async def failed(name: Named) -> list[FailedUpdate]:
        """Return the version that is not tried here until another one comes or an instance is restarted, if there is one."""
        found = context.functions.refusal(name)
        if found is None:
            return []
        return [
            FailedUpdate(
                fingerprint=found.fingerprint, reason=found.reason, instance=found.fqiid, workerId=found.worker
            )
        ]

    return router
