"""Every refusal as `{"reason": …}`, whoever refuses: the worker, the framework or a defect."""

from http import HTTPStatus
from typing import Any

import anyio
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from magnetar.errors import RequestError
from magnetar.functions.owners import OwnedElsewhere
from magnetar.logs import worker_logger
from magnetar.rest.api import Api
from magnetar.rest.refusal import reason

_NO_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


def add_error_handlers(app: Api, scheme: str) -> None:
    """Let an application answer errors as Pulsar does; redirects keep path and query and change the host."""

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestError)
        return reason(error.status, str(error))

    async def of_framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code in _NO_BODY:
            return Response(status_code=error.status_code)
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and (methods := app.methods_at(request)):
            headers["Allow"] = ", ".join(sorted(methods))
        return reason(error.status_code, _sentence(request, error), headers)

    async def not_valid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return reason(400, "; ".join(_invalid(each) for each in error.errors()))

    async def elsewhere(request: Request, error: Exception) -> Response:
        assert isinstance(error, OwnedElsewhere)
        target = request.url.replace(scheme=scheme, hostname=error.worker.hostname, port=error.worker.port)
        return Response(status_code=307, headers={"Location": str(target)})

    async def gone(_: Request, error: Exception) -> Response:
        return reason(503, f"the worker is stopping ({type(error).__name__}): try again in a little while")

    async def defect(request: Request, error: Exception) -> Response:
        worker_logger().error(
            "A request met a defect.", method=request.method, path=request.url.path, error=repr(error)
        )
        return reason(500, f"{type(error).__name__}: {error}")

    app.add_exception_handler(RequestError, refused)
    app.add_exception_handler(HTTPException, of_framework)
    app.add_exception_handler(RequestValidationError, not_valid)
    app.add_exception_handler(OwnedElsewhere, elsewhere)
    app.add_exception_handler(anyio.ClosedResourceError, gone)
    app.add_exception_handler(Exception, defect)


def _sentence(request: Request, error: HTTPException) -> str:
    if error.status_code == HTTPStatus.NOT_FOUND and error.detail == HTTPStatus.NOT_FOUND.phrase:
        return f"there is nothing at {request.url.path}; /docs lists what there is"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method} is not for {request.url.path}; /docs lists what there is"
    return str(error.detail)


def _invalid(error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    return f"{where} is {error.get('input')!r}: {error['msg'][:1].lower()}{error['msg'][1:]}"
