"""Who sends a request: the door of every port that authenticates."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from magnetar.access import Authentication, Presented
from magnetar.errors import NotAuthenticatedError
from magnetar.rest.refusal import reason
from magnetar.web import CERTIFICATE

CALLER = "magnetar.caller"
"""Where an ASGI scope holds who sent a request, a Caller."""
AT_THE_ROOT = frozenset({"/metrics", "/version", "/initialized", "/docs", "/openapi.json"})
"""What `authenticateMetricsEndpoint` is about: Pulsar's context at the root, and the page of the API."""


class Authenticate:
    """Refuses with 401 whom no provider knows, before anything of a request's body is read; `open_paths` are for all."""

    def __init__(self, app: ASGIApp, authentication: Authentication, open_paths: Collection[str] = ()) -> None:
        self._app = app
        self._authentication = authentication
        self._open = frozenset(open_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find out who sends a request, note it in its scope and hand it on."""
        if scope["type"] == "http" and scope["path"] not in self._open:
            try:
                caller = self._authentication.identify(_presented(scope))
            except NotAuthenticatedError as error:
                await reason(error.status, str(error), {"WWW-Authenticate": "Bearer"})(scope, receive, send)
                return
            scope = {**scope, CALLER: caller}
        await self._app(scope, receive, send)


def _presented(scope: Scope) -> Presented:
    # Of a header that stands twice the first counts, as in Pulsar.
    headers = Headers(scope=scope)
    return Presented({name: headers[name] for name in headers}, scope.get(CERTIFICATE))
