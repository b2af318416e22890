"""`/magnetar/v1/instances`: every instance of this worker, as its supervisor sees it."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic.alias_generators import to_camel

from magnetar.errors import UnknownFunctionError
from magnetar.model.names import fqiid
from magnetar.rest.context import RestContext
from magnetar.rest.paths import InstanceId, Named, P
from magnetar.supervision.base import InstanceView


def instances_router(context: RestContext) -> APIRouter:
    """Return the routes of instances."""
    router = APIRouter(prefix="/magnetar/v1/instances", tags=["magnetar"])

    @router.get("")
    async def instances() -> list[dict[str, Any]]:
        """List the instances of this worker; times are seconds since the epoch."""
        return [view_to_json(view) for view in context.instances.views()]

    @router.get(f"{P}/{{id}}")
    async def instance(name: Named, instance_id: InstanceId) -> dict[str, Any]:
        """Return one instance of this worker."""
        wanted = fqiid(name.fqfn, instance_id)
        for view in context.instances.views():
            if view.fqiid == wanted:
                return view_to_json(view)
        raise UnknownFunctionError(f"{wanted} is not assigned to this worker")

    return router


def view_to_json(view: InstanceView) -> dict[str, Any]:
    """Return an instance as a JSON object, nulls included."""
    values = asdict(view) | {"log_file": str(view.log_file) if view.log_file else None, "phase": view.phase.value}
    return {to_camel(name): value for name, value in values.items()}
