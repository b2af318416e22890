"""Packages: upload, download, describe, list, delete."""

import asyncio
import json
import shutil

from magnetar_broker.errors import InvalidError
from magnetar_broker.http.messages import Request, Response, Routes, answer
from magnetar_broker.http.multipart import read_form
from magnetar_broker.packages import PackageName, Packages

_NAMESPACE = "/admin/v3/packages/{kind}/{tenant}/{namespace}"
_PACKAGE = f"{_NAMESPACE}/{{name}}"
_VERSION = f"{_PACKAGE}/{{version}}"


class PackageRoutes:
    """The admin API of packages; file systems work in a thread."""

    def __init__(self, packages: Packages) -> None:
        self._packages = packages

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        routes.add("GET", f"{_VERSION}/metadata", self.metadata)
        routes.add("PUT", f"{_VERSION}/metadata", self.describe)
        routes.add("POST", _VERSION, self.upload)
        routes.add("GET", _VERSION, self.download)
        routes.add("DELETE", _VERSION, self.delete)
        routes.add("GET", _PACKAGE, self.versions)
        routes.add("GET", _NAMESPACE, self.names)

    async def metadata(self, request: Request) -> Response:
        """Return a version's description."""
        return answer(await asyncio.to_thread(self._packages.metadata, _name(request)))

    async def describe(self, request: Request) -> Response:
        """Replace a version's description."""
        await asyncio.to_thread(self._packages.describe, _name(request), await request.object())
        return Response()

    async def upload(self, request: Request) -> Response:
        """Take an upload: the form has `metadata` (JSON) and `file`."""
        incoming = self._packages.incoming()
        try:
            form = await read_form(request.headers.get("content-type", ""), request.body, "file", incoming / "content")
            metadata = _metadata(form)
        except BaseException:
            shutil.rmtree(incoming)
            raise
        await asyncio.to_thread(self._packages.add, _name(request), incoming, metadata)
        return Response()

    async def download(self, request: Request) -> Response:
        """Send a version's file."""
        return Response(200, self._packages.content(_name(request)), "application/octet-stream")

    async def delete(self, request: Request) -> Response:
        """Delete a version."""
        await asyncio.to_thread(self._packages.delete, _name(request))
        return Response()

    async def versions(self, request: Request) -> Response:
        """List a package's versions."""
        parts = request.parameters
        return answer(self._packages.versions(parts["kind"], parts["tenant"], parts["namespace"], parts["name"]))

    async def names(self, request: Request) -> Response:
        """List a namespace's packages."""
        parts = request.parameters
        return answer(self._packages.names(parts["kind"], parts["tenant"], parts["namespace"]))


def _name(request: Request) -> PackageName:
    return PackageName(**request.parameters)


def _metadata(form: dict[str, bytes]) -> dict[str, object]:
    if "file" not in form:
        raise InvalidError("the form has no part named 'file'")
    try:
        value = json.loads(form.get("metadata") or b"{}")
    except ValueError as error:
        raise InvalidError(f"the part 'metadata' is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidError("the part 'metadata' must be a JSON object")
    return value
