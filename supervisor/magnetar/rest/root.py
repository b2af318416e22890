"""What stands beside the admin API: version, readiness, metrics, and the page of the API itself."""

from importlib.metadata import version
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Depends, Request
from magnetar_instance.open_metrics import negotiated
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from magnetar.errors import NotReadyError, UnknownFunctionError
from magnetar.rest.context import RestContext
from magnetar.rest.starting import not_ready

_ALL = ["GET", "POST", "PUT", "DELETE"]


def require_ready(context: RestContext) -> None:
    """Raise NotReadyError, with what is waited for, until the worker can do its work."""
    if not context.readiness.ready:
        raise NotReadyError(not_ready(context.readiness.waiting))


def root_router(context: RestContext) -> APIRouter:
    """Return the routes at the root."""
    router = APIRouter(tags=["worker"], dependencies=[Depends(context.access.anyone)])

    @router.get("/version")
    async def worker_version() -> dict[str, str]:
        """Return the worker's version."""
        return {"version": version("magnetar")}

    @router.get("/initialized")
    async def initialized() -> bool:
        """Tell that the worker can do its work; 503 until then."""
        require_ready(context)
        return True

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """Return the metrics of the worker and of its instances, for Prometheus; OpenMetrics by `Accept`."""
        text, kind = negotiated(await context.metrics(), request.headers.get("accept", ""))
        return Response(text, media_type=kind)

    @router.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        """Return a page that shows this API; it loads nothing from elsewhere."""
        return HTMLResponse(files("magnetar.rest").joinpath("docs.html").read_text())

    return router


def absent_router(context: RestContext) -> APIRouter:
    """Return routes for what Pulsar's worker has and this one does not, each with a sentence."""
    router = APIRouter(prefix="/admin", include_in_schema=False, dependencies=[Depends(context.access.anyone)])

    async def connectors(request: Request) -> Any:
        what = "sinks" if request.url.path.startswith("/admin/v3/sink") else "sources"
        raise UnknownFunctionError(f"this worker runs functions, no {what}: run a connector under Pulsar's own worker")

    async def older() -> Any:
        raise UnknownFunctionError(
            "this API ended with pulsar-admin 2.2: clients since 2.3 ask under /admin/v3/functions, and so does magnetar"
        )

    for kind in ("sink", "sinks", "source", "sources"):
        router.add_api_route(f"/v3/{kind}/{{rest:path}}", connectors, methods=_ALL)
    for path in ("/v2/functions/{rest:path}", "/functions/{rest:path}"):
        router.add_api_route(path, older, methods=_ALL)
    return router
