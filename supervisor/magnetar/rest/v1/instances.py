"""`/magnetar/v1/instances`: every instance of this worker, as its supervisor sees it."""

from dataclasses import fields
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic.alias_generators import to_camel

from magnetar.errors import UnknownFunctionError
from magnetar.model.names import fqiid
from magnetar.rest.answers import refusals
from magnetar.rest.context import RestContext
from magnetar.rest.paths import InstanceId, Named, P
from magnetar.supervision.base import InstanceView

_NAMES = {field.name: to_camel(field.name) for field in fields(InstanceView)}


def instances_router(context: RestContext) -> APIRouter:
    """Return the routes of instances."""
    router = APIRouter(prefix="/magnetar/v1/instances", tags=["magnetar"])

    in_namespace = [Depends(context.access.namespace)]

    @router.get("", dependencies=[Depends(context.access.anyone)])
    async def instances(request: Request) -> list[dict[str, Any]]:
        """List the instances of this worker that the caller may see; times are seconds since the epoch."""
        views = context.instances.views()
        spaces = {_namespace_of(view) for view in views}
        seen = {each for each in spaces if await context.access.sees(request, *each)}
        return [view_to_json(view) for view in views if _namespace_of(view) in seen]

    @router.get(f"{P}/{{id}}", dependencies=in_namespace, responses=refusals(400, 404))
    async def instance(name: Named, instance_id: InstanceId) -> dict[str, Any]:
        """Return one instance of this worker."""
        return view_to_json(_view(context, fqiid(name.fqfn, instance_id)))

    return router


def _namespace_of(view: InstanceView) -> tuple[str, str]:
    tenant, namespace, *_ = view.fqiid.split("/")
    return tenant, namespace


def _view(context: RestContext, wanted: str) -> InstanceView:
    for view in context.instances.views():
        if view.fqiid == wanted:
            return view
    raise UnknownFunctionError(f"{wanted} is not assigned to this worker")


def view_to_json(view: InstanceView) -> dict[str, Any]:
    """Return an instance as a JSON object, nulls included."""
    values = {camel: getattr(view, name) for name, camel in _NAMES.items()}
    return values | {"logFile": str(view.log_file) if view.log_file else None, "phase": view.phase.value}
