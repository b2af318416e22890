"""`/admin/v3/functions`: the paths, forms and answers of Pulsar's functions API."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import JSONResponse, Response

from magnetar.model import FunctionConfig
from magnetar.model.stats import FunctionInstanceStatsData, FunctionStats
from magnetar.model.status import FunctionInstanceStatusData, FunctionStatus
from magnetar.rest.answers import ELSEWHERE, FORM, OF_FUNCTION, Answers, file_of, found, refusals
from magnetar.rest.context import RestContext
from magnetar.rest.form_docs import CREATE_FORM, TRIGGER_FORM, UPDATE_FORM
from magnetar.rest.forms import done, form_of, submission_of
from magnetar.rest.paths import InstanceId, Named, P
from magnetar.rest.state_v3 import add_state
from magnetar.rest.upload import blocks, is_form

_TRIGGERED: Answers = {
    **file_of("text/plain"),
    204: {"description": "done; the function has no output"},
    **refusals(408, 413),
}


def functions_router(context: RestContext) -> APIRouter:
    """Return the routes of functions."""
    demands = [Depends(context.access.namespace)]
    router = APIRouter(prefix="/admin/v3/functions", tags=["functions"], dependencies=demands, responses=OF_FUNCTION)
    # First, or the key `status` would be looked for among the instances.
    add_state(router, context)
    _add_changes(router, context)
    _add_states(router, context)
    _add_reports(router, context)
    _add_instance_reports(router, context)
    return router


def builtins_router(context: RestContext) -> APIRouter:
    """Return the routes of what is built in."""
    router = APIRouter(prefix="/admin/v3/functions", tags=["functions"])
    super_user = [Depends(context.access.super_user)]

    @router.get("/connectors", dependencies=[Depends(context.access.anyone)])
    async def connectors() -> list[Any]:
        """List the builtin connectors: there are none on this worker."""
        return []

    @router.get("/builtins", dependencies=super_user)
    async def builtins() -> list[Any]:
        """List the builtin functions: there are none on this worker."""
        return []

    @router.post("/builtins/reload", status_code=204, dependencies=super_user)
    async def reload_builtins() -> Response:
        """Look for builtin functions again: there are none on this worker."""
        return done()

    return router


def _add_changes(router: APIRouter, context: RestContext) -> None:
    functions = context.functions

    @router.post(P, status_code=204, openapi_extra=CREATE_FORM, responses=FORM)
    async def create(name: Named, request: Request) -> Response:
        """Create a function from its config and package."""
        async with form_of(request, context, "data") as form:
            return done(await functions.create(name, submission_of(request, form)))

    @router.put(P, status_code=204, openapi_extra=UPDATE_FORM, responses=FORM)
    async def update(name: Named, request: Request) -> Response:
        """Change what the config names of a function, and its package where one is sent."""
        async with form_of(request, context, "data") as form:
            return done(await functions.update(name, submission_of(request, form)))

    @router.delete(P, status_code=204)
    async def delete(name: Named) -> Response:
        """Delete a function; its instances end soon after."""
        await functions.delete(name)
        return done()


def _add_states(router: APIRouter, context: RestContext) -> None:
    functions = context.functions

    @router.post(f"{P}/start", status_code=204)
    async def start(name: Named) -> Response:
        """Start a function that was stopped."""
        await functions.set_running(name, None, running=True)
        return done()

    @router.post(f"{P}/stop", status_code=204)
    async def stop(name: Named) -> Response:
        """Stop a function until it is started."""
        await functions.set_running(name, None, running=False)
        return done()

    @router.post(f"{P}/restart", status_code=204)
    async def restart(name: Named) -> Response:
        """Restart every instance of a function."""
        await functions.restart(name)
        return done()

    @router.post(f"{P}/{{id}}/start", status_code=204)
    async def start_instance(name: Named, instance_id: InstanceId) -> Response:
        """Start one instance that was stopped."""
        await functions.set_running(name, instance_id, running=True)
        return done()

    @router.post(f"{P}/{{id}}/stop", status_code=204)
    async def stop_instance(name: Named, instance_id: InstanceId) -> Response:
        """Stop one instance until it is started."""
        await functions.set_running(name, instance_id, running=False)
        return done()

    @router.post(f"{P}/{{id}}/restart", status_code=204, responses=ELSEWHERE)
    async def restart_instance(name: Named, instance_id: InstanceId) -> Response:
        """Restart one instance; redirects to the worker that has it."""
        await functions.restart_instance(name, instance_id)
        return done()

    @router.post(f"{P}/trigger", openapi_extra=TRIGGER_FORM, responses=_TRIGGERED)
    async def trigger(name: Named, request: Request, topic: str | None = None) -> Response:
        """Send a message into a function and answer with what comes out: 204 for a function without output."""
        if is_form(request):
            async with form_of(request, context, None) as form:
                data = form.fields.get("dataStream", form.fields.get("data"))
                topic = form.text("topic") or topic
        else:
            data = b"".join([block async for block in blocks(request)])
        output = await functions.trigger(name, data, topic)
        return done() if output is None else Response(output, media_type="text/plain; charset=utf-8")


def _add_reports(router: APIRouter, context: RestContext) -> None:
    functions = context.functions

    @router.get("/{tenant}/{namespace}")
    async def names(tenant: str, namespace: str) -> list[str]:
        """List the names of a namespace's functions."""
        return functions.names(tenant, namespace)

    @router.get(P, responses=found(FunctionConfig))
    async def get(name: Named) -> Response:
        """Return a function's config."""
        return JSONResponse(functions.get(name).to_json())

    @router.get(f"{P}/status", responses=found(FunctionStatus))
    async def status(name: Named) -> Response:
        """Return the state of every instance."""
        return JSONResponse((await functions.status(name)).to_json())

    @router.get(f"{P}/stats", responses=found(FunctionStats))
    async def stats(name: Named) -> Response:
        """Return the figures of every instance and their sums."""
        return JSONResponse((await functions.stats(name)).to_json())


def _add_instance_reports(router: APIRouter, context: RestContext) -> None:
    functions = context.functions

    @router.get(f"{P}/{{id}}/status", responses=found(FunctionInstanceStatusData) | ELSEWHERE)
    async def instance_status(name: Named, instance_id: InstanceId) -> Response:
        """Return the state of one instance; redirects to the worker that has it."""
        return JSONResponse((await functions.instance_status(name, instance_id)).to_json())

    @router.get(f"{P}/{{id}}/stats", responses=found(FunctionInstanceStatsData) | ELSEWHERE)
    async def instance_stats(name: Named, instance_id: InstanceId) -> Response:
        """Return the figures of one instance; redirects to the worker that has it."""
        return JSONResponse((await functions.instance_stats(name, instance_id)).to_json())
