"""What REST answers while the worker is still starting: what it waits for, on every path."""

from collections.abc import Mapping

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from magnetar.health.readiness import Readiness

_NOT_INITIALIZED = "Function worker service is not done initializing. Please try again in a little while."


def starting_app(readiness: Readiness) -> ASGIApp:
    """Return the application that stands in until the API's own is made."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = JSONResponse({"reason": not_ready(readiness.waiting)}, status_code=503, headers={"Retry-After": "1"})
        await response(scope, receive, send)

    return answer


def not_ready(waiting: Mapping[str, str]) -> str:
    """Return Pulsar's sentence for a worker that is still starting, and the steps that it waits for."""
    steps = "; ".join(f"{step}: {why}" if why else step for step, why in waiting.items())
    return f"{_NOT_INITIALIZED} It waits for: {steps}"
