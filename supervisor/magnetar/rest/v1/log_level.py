"""`/magnetar/v1/loglevel`: the level of a function's log, changed while it runs."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, status
from magnetar_instance.log_level import LEVELS

from magnetar.functions.log_level import read_level
from magnetar.rest.answers import OF_FUNCTION
from magnetar.rest.context import RestContext
from magnetar.rest.paths import Named, P


def log_level_router(context: RestContext) -> APIRouter:
    """Return the route of log levels."""
    router = APIRouter(
        prefix="/magnetar/v1/loglevel",
        tags=["magnetar"],
        dependencies=[Depends(context.access.namespace)],
        responses=OF_FUNCTION,
    )

    @router.put(P, status_code=status.HTTP_204_NO_CONTENT)
    async def set_log_level(
        name: Named,
        level: str,
        seconds: Annotated[float | None, Query(gt=0)] = None,
        instance: int | None = None,
    ) -> None:
        """Set the level of a Python function's log: DEBUG, INFO, WARNING, ERROR or CRITICAL; 204.

        After `seconds` it is the one before again; without them it stays until the instance is started again.
        """
        await context.functions.set_log_level(name, instance, read_level(level, LEVELS), seconds)

    return router
