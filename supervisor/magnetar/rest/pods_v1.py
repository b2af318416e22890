"""`/magnetar/v1/manifests` and `/magnetar/v1/pods`: functions that are run as a whole, as Kubernetes sees them."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from magnetar.errors import RefusedError
from magnetar.model.names import FunctionName
from magnetar.rest.context import RestContext
from magnetar.rest.paths import Named, P
from magnetar.runtimes.base import ExternalRuntime, FunctionSpec


def pods_router(context: RestContext) -> APIRouter:
    """Return the routes of manifests and of Kubernetes' events."""
    router = APIRouter(prefix="/magnetar/v1", tags=["magnetar"])

    def found(name: FunctionName) -> tuple[ExternalRuntime, FunctionSpec]:
        whole = context.functions.as_a_whole(name)
        if whole is None:
            raise RefusedError(f"{name.fqfn} does not run in Kubernetes")
        return whole

    @router.get(f"/manifests{P}")
    async def manifests(name: Named) -> list[dict[str, object]]:
        """Return the objects that this worker would apply for a function, without applying them."""
        runtime, spec = found(name)
        return runtime.manifests(spec)

    @router.get(f"/pods{P}/events")
    async def events(name: Named) -> list[dict[str, Any]]:
        """Return what Kubernetes says happened to a function's StatefulSet and pods, oldest first."""
        runtime, spec = found(name)
        return [asdict(event) for event in await runtime.events(spec)]

    return router
