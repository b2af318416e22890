"""Packages under `/admin/v3/functions`: those of functions, and those that are kept under a path."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from magnetar_instance.proto.function import PackageLocationMetaData
from starlette.responses import FileResponse, Response

from magnetar.errors import RefusedError, UnknownFunctionError
from magnetar.packages.locations import location_of_path
from magnetar.rest.answers import FORM, file_of, refusals
from magnetar.rest.context import RestContext
from magnetar.rest.form_docs import UPLOAD_FORM
from magnetar.rest.forms import done, form_of
from magnetar.rest.paths import Named, P

Transform = Annotated[bool, Query(alias="transform-function")]
_BINARY = "application/octet-stream"
_FILE = file_of(_BINARY) | refusals(400, 404, 502)


def packages_router(context: RestContext) -> APIRouter:
    """Return the routes of packages."""
    access = context.access
    router = APIRouter(prefix="/admin/v3/functions", tags=["functions"])

    @router.post(
        "/upload",
        status_code=204,
        dependencies=[Depends(access.super_user)],
        openapi_extra=UPLOAD_FORM,
        responses=FORM,
    )
    async def upload(request: Request) -> Response:
        """Store a file under a path, `tenant/namespace/name/version` or a package's URL; what is there is replaced."""
        async with form_of(request, context, "data") as form:
            path = form.text("path")
            if form.upload is None or path is None:
                raise RefusedError("the form lacks data or path: send the file as data and where to keep it as path")
            await context.packages.put(location_of_path(path), form.upload.path, form.upload.name)
        return done()

    @router.get("/download", response_class=FileResponse, dependencies=[Depends(access.package_path)], responses=_FILE)
    async def download_path(path: str) -> Response:
        """Return what is stored under a path or at a package's URL."""
        location = PackageLocationMetaData(packagePath=location_of_path(path))
        return FileResponse(await context.packages.fetch(location), media_type=_BINARY)

    @router.get(f"{P}/download", response_class=FileResponse, dependencies=[Depends(access.namespace)], responses=_FILE)
    async def download(name: Named, *, transform: Transform = False) -> Response:
        """Return the package of a function, source or sink as it was uploaded, or that of a sink's transformation."""
        metadata = context.functions.any_metadata(name)
        location = metadata.transformFunctionPackageLocation if transform else metadata.packageLocation
        if not location.packagePath:
            raise UnknownFunctionError(f"{name.fqfn} has no {'transform function' if transform else 'package'}")
        file = await context.packages.fetch(location)
        return FileResponse(file, media_type=_BINARY, filename=location.originalFileName or file.name)

    return router
