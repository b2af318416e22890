"""`/admin/v3/functions`: the paths, forms and answers of Pulsar's functions API."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from magnetar_instance.proto.function import FunctionMetaData, PackageLocationMetaData
from pydantic import ValidationError
from starlette.responses import FileResponse, JSONResponse, Response

from magnetar.errors import NotReadyError, RefusedError
from magnetar.functions.owners import OwnedElsewhere
from magnetar.functions.submission import Submission
from magnetar.model import UpdateOptions
from magnetar.model.names import FunctionName
from magnetar.rest.context import RestContext
from magnetar.rest.form_docs import CREATE_FORM, LEADER_FORM, TRIGGER_FORM, UPDATE_FORM
from magnetar.rest.texts import header_value, read_json
from magnetar.rest.upload import Form, blocks, is_form, receive_form

P = "/{tenant}/{namespace}/{name}"
_BINARY = "application/octet-stream"


def function_name(tenant: str, namespace: str, name: str) -> FunctionName:
    """Take a function's name from a request's path."""
    return FunctionName(tenant, namespace, name)


Named = Annotated[FunctionName, Depends(function_name)]
InstanceId = Annotated[int, Path(alias="id")]


def functions_router(context: RestContext) -> APIRouter:
    """Return the routes of functions."""
    router = APIRouter(prefix="/admin/v3/functions", tags=["functions"])
    _add_changes(router, context)
    _add_states(router, context)
    _add_reports(router, context)
    _add_instance_reports(router, context)
    _add_packages(router, context)
    _add_leader(router, context)
    return router


def _add_changes(router: APIRouter, context: RestContext) -> None:
    functions = context.functions

    @router.post(P, status_code=204, openapi_extra=CREATE_FORM)
    async def create(name: Named, request: Request) -> Response:
        """Create a function from its config and package."""
        async with _form(request, context, "data") as form:
            return _done(await functions.create(name, _submission(form)))

    @router.put(P, status_code=204, openapi_extra=UPDATE_FORM)
    async def update(name: Named, request: Request) -> Response:
        """Change what the config names of a function, and its package where one is sent."""
        async with _form(request, context, "data") as form:
            return _done(await functions.update(name, _submission(form)))

    @router.delete(P, status_code=204)
    async def delete(name: Named) -> Response:
        """Delete a function; its instances end soon after."""
        await functions.delete(name)
        return _done()


def _add_states(router: APIRouter, context: RestContext) -> None:
    functions = context.functions

    @router.post(f"{P}/start", status_code=204)
    async def start(name: Named) -> Response:
        """Start a function that was stopped."""
        await functions.set_running(name, None, running=True)
        return _done()

    @router.post(f"{P}/stop", status_code=204)
    async def stop(name: Named) -> Response:
        """Stop a function until it is started."""
        await functions.set_running(name, None, running=False)
        return _done()

    @router.post(f"{P}/restart", status_code=204)
    async def restart(name: Named) -> Response:
        """Restart every instance of a function."""
        await functions.restart(name)
        return _done()

    @router.post(f"{P}/{{id}}/start", status_code=204)
    async def start_instance(name: Named, instance_id: InstanceId) -> Response:
        """Start one instance that was stopped."""
        await functions.set_running(name, instance_id, running=True)
        return _done()

    @router.post(f"{P}/{{id}}/stop", status_code=204)
    async def stop_instance(name: Named, instance_id: InstanceId) -> Response:
        """Stop one instance until it is started."""
        await functions.set_running(name, instance_id, running=False)
        return _done()

    @router.post(f"{P}/{{id}}/restart", status_code=204)
    async def restart_instance(name: Named, instance_id: InstanceId) -> Response:
        """Restart one instance; redirects to the worker that has it."""
        await functions.restart_instance(name, instance_id)
        return _done()

    @router.post(f"{P}/trigger", openapi_extra=TRIGGER_FORM)
    async def trigger(name: Named, request: Request, topic: str | None = None) -> Response:
        """Send a message into a function and answer with what comes out: 204 for a function without output."""
        if is_form(request):
            async with _form(request, context, None) as form:
                data = form.fields.get("dataStream", form.fields.get("data"))
                topic = form.text("topic") or topic
        else:
            data = b"".join([block async for block in blocks(request)])
        output = await functions.trigger(name, data, topic)
        return _done() if output is None else Response(output, media_type="text/plain; charset=utf-8")


def _add_reports(router: APIRouter, context: RestContext) -> None:
    functions = context.functions

    @router.get("/connectors")
    async def connectors() -> list[Any]:
        """List the builtin connectors: there are none on this worker."""
        return []

    @router.get("/builtins")
    async def builtins() -> list[Any]:
        """List the builtin functions: there are none on this worker."""
        return []

    @router.get("/{tenant}/{namespace}")
    async def names(tenant: str, namespace: str) -> list[str]:
        """List the names of a namespace's functions."""
        return functions.names(tenant, namespace)

    @router.get(P)
    async def get(name: Named) -> Response:
        """Return a function's config."""
        return JSONResponse(functions.get(name).to_json())

    @router.get(f"{P}/status")
    async def status(name: Named) -> Response:
        """Return the state of every instance."""
        return JSONResponse((await functions.status(name)).to_json())

    @router.get(f"{P}/stats")
    async def stats(name: Named) -> Response:
        """Return the figures of every instance and their sums."""
        return JSONResponse((await functions.stats(name)).to_json())


def _add_instance_reports(router: APIRouter, context: RestContext) -> None:
    functions = context.functions

    @router.get(f"{P}/{{id}}/status")
    async def instance_status(name: Named, instance_id: InstanceId) -> Response:
        """Return the state of one instance; redirects to the worker that has it."""
        return JSONResponse((await functions.instance_status(name, instance_id)).to_json())

    @router.get(f"{P}/{{id}}/stats")
    async def instance_stats(name: Named, instance_id: InstanceId) -> Response:
        """Return the figures of one instance; redirects to the worker that has it."""
        return JSONResponse((await functions.instance_stats(name, instance_id)).to_json())

    @router.get(f"{P}/state/{{key:path}}")
    @router.post(f"{P}/state/{{key:path}}")
    async def state(name: Named, key: str) -> Response:
        """Refuse: this worker keeps no state."""
        functions.get(name)
        raise NotReadyError(f"State storage client is not done initializing: this worker has no store for {key!r}")


def _add_packages(router: APIRouter, context: RestContext) -> None:
    @router.get(f"{P}/download", response_class=FileResponse)
    async def download(name: Named) -> Response:
        """Return the package of a function, source or sink as it was uploaded."""
        location = context.functions.any_metadata(name).packageLocation
        file = await context.packages.fetch(location)
        return FileResponse(file, media_type=_BINARY, filename=location.originalFileName or file.name)

    @router.get("/download", response_class=FileResponse)
    async def download_path(path: str) -> Response:
        """Return a package by its location."""
        file = await context.packages.fetch(PackageLocationMetaData(packagePath=path))
        return FileResponse(file, media_type=_BINARY, filename=file.name)


def _add_leader(router: APIRouter, context: RestContext) -> None:
    @router.put(f"/leader{P}", status_code=204, openapi_extra=LEADER_FORM)
    async def leader(name: Named, request: Request) -> Response:
        """Take another worker's change of a function; redirects to the worker that leads."""
        coordination = context.coordination
        if not coordination.is_leader:
            found = await coordination.leader()
            if found is None or found == context.functions.worker:
                raise NotReadyError("the fleet's leader is not ready yet: try again in a little while")
            raise OwnedElsewhere(found)
        async with _form(request, context, None) as form:
            metadata = _metadata(form, name)
        await context.functions.write(metadata, delete=form.text("delete") == "true")
        return _done()


def _form(request: Request, context: RestContext, file: str | None) -> Any:
    return receive_form(request, file=file, incoming=context.packages.incoming, limit=context.settings.max_upload_bytes)


def _submission(form: Form) -> Submission:
    config = form.fields.get("functionConfig")
    return Submission(
        config=read_json(config, "functionConfig") if config else None,
        upload=form.upload,
        url=form.text("url"),
        options=_options(form.fields.get("updateOptions")),
    )


def _options(text: bytes | None) -> UpdateOptions:
    if not text:
        return UpdateOptions()
    try:
        return UpdateOptions.model_validate(read_json(text, "updateOptions") or {})
    except ValidationError as error:
        raise RefusedError(f"updateOptions: {error.errors(include_url=False)[0]['msg']}") from None


def _metadata(form: Form, name: FunctionName) -> FunctionMetaData:
    try:
        metadata = FunctionMetaData.FromString(form.fields.get("functionMetaData", b""))
    except ValueError as error:
        raise RefusedError(f"functionMetaData is not the message of that name: {error}") from None
    details = metadata.functionDetails
    if (details.tenant, details.namespace, details.name) != name:
        raise RefusedError(
            f"functionMetaData is of {details.tenant}/{details.namespace}/{details.name}, not {name.fqfn}"
        )
    return metadata


def _done(warnings: tuple[str, ...] = ()) -> Response:
    response = Response(status_code=204)
    for warning in warnings:
        response.headers.append("X-Magnetar-Warning", header_value(warning))
    return response
