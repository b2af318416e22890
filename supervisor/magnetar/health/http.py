"""The port for probes and Prometheus: `/metrics`, `/livez` and `/readyz`."""

from collections.abc import Awaitable, Callable

from magnetar_instance.open_metrics import negotiated
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from magnetar.health.readiness import Readiness


def health_app(readiness: Readiness, metrics: Callable[[], Awaitable[str]]) -> Starlette:
    """Return the application; `metrics` gives the text of the worker and of all its instances."""

    async def metrics_page(request: Request) -> Response:
        text, kind = negotiated(await metrics(), request.headers.get("accept", ""))
        return Response(text, media_type=kind)

    async def alive(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_: Request) -> Response:
        waiting = readiness.waiting
        return JSONResponse({"ready": not waiting, "waitingFor": waiting}, status_code=503 if waiting else 200)

    return Starlette(
        routes=[
            Route("/metrics", metrics_page),
            Route("/", metrics_page),
            Route("/livez", alive),
            Route("/readyz", ready),
        ]
    )
