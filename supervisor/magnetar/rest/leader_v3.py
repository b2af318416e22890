"""`/admin/v3/functions/leader`: what workers of the fleet hand to the one that leads."""

from fastapi import APIRouter, Depends, Request
from google.protobuf.message import DecodeError
from magnetar_instance.proto.function import FunctionMetaData
from starlette.responses import Response

from magnetar.errors import NotReadyError, RefusedError
from magnetar.functions.owners import OwnedElsewhere
from magnetar.model.names import FunctionName
from magnetar.rest.answers import ELSEWHERE, FORM
from magnetar.rest.context import RestContext
from magnetar.rest.form_docs import LEADER_FORM
from magnetar.rest.forms import done, form_of
from magnetar.rest.paths import Named, P
from magnetar.rest.upload import Form


def leader_router(context: RestContext) -> APIRouter:
    """Return the route of the leader."""
    router = APIRouter(
        prefix="/admin/v3/functions", tags=["functions"], dependencies=[Depends(context.access.super_user)]
    )

    @router.put(f"/leader{P}", status_code=204, openapi_extra=LEADER_FORM, responses=FORM | ELSEWHERE)
    async def leader(name: Named, request: Request) -> Response:
        """Take another worker's change of a function; redirects to the worker that leads."""
        await require_leader(context)
        async with form_of(request, context, None) as form:
            metadata = _metadata(form, name)
        await context.functions.write(metadata, delete=form.text("delete") == "true")
        return done()

    return router


async def require_leader(context: RestContext) -> None:
    """Return where this worker leads. Raises OwnedElsewhere where another does, NotReadyError while nobody does."""
    coordination = context.coordination
    if coordination.is_leader:
        return
    found = await coordination.leader()
    if found is None or found == context.functions.worker:
        raise NotReadyError("the fleet's leader is not ready yet: try again in a little while")
    raise OwnedElsewhere(found)


def _metadata(form: Form, name: FunctionName) -> FunctionMetaData:
    try:
        metadata = FunctionMetaData.FromString(form.fields.get("functionMetaData", b""))
    except DecodeError as error:
        raise RefusedError(f"functionMetaData is not the message of that name: {error}") from None
    details = metadata.functionDetails
    if (details.tenant, details.namespace, details.name) != name:
        raise RefusedError(
            f"functionMetaData is of {details.tenant}/{details.namespace}/{details.name}, not {name.fqfn}"
        )
    return metadata
