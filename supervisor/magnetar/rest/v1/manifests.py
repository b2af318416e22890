"""`/magnetar/v1/manifests`: what a function is, or would be, in Kubernetes."""

from fastapi import APIRouter, Depends

from magnetar.errors import RefusedError
from magnetar.rest.answers import OF_FUNCTION
from magnetar.rest.context import RestContext
from magnetar.rest.paths import Named, P


def manifests_router(context: RestContext) -> APIRouter:
    """Return the route of manifests."""
    router = APIRouter(
        prefix="/magnetar/v1/manifests",
        tags=["magnetar"],
        dependencies=[Depends(context.access.namespace)],
        responses=OF_FUNCTION,
    )

    @router.get(P)
    async def manifests(name: Named) -> list[dict[str, object]]:
        """Return the objects that this worker would apply for a function, without applying them."""
        whole = context.functions.as_a_whole(name)
        if whole is None:
            raise RefusedError(f"{name.fqfn} does not run in Kubernetes")
        runtime, spec = whole
        return runtime.manifests(spec)

    return router
