"""The application class: what the framework tells of an API, made true."""

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.routing import Match

_NEVER_SENT = "422"
"""The framework's status for a value that is none; here it is 400, as Pulsar answers."""
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic"},
}


class Api(FastAPI):
    """A FastAPI application whose OpenAPI document names what is sent, and no more."""

    def __init__(self, *, authenticates: bool, **settings: Any) -> None:
        super().__init__(**settings)
        self._authenticates = authenticates
        self._documented: list[APIRoute] = []

    def include_router(self, router: APIRouter, **settings: Any) -> None:
        """Take the routes of a router, and remember those that are documented."""
        super().include_router(router, **settings)
        self._documented += [each for each in router.routes if isinstance(each, APIRoute) and each.include_in_schema]

    def methods_at(self, request: Request) -> frozenset[str]:
        """Return the methods that the documented routes take at a request's path; none where there are no such routes."""
        at = (each for each in self._documented if each.matches(request.scope)[0] is not Match.NONE)
        return frozenset(method for each in at for method in each.methods or ())

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, made once."""
        if self.openapi_schema is None:
            document = super().openapi()
            for operations in document["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop(_NEVER_SENT, None)
            for unused in ("HTTPValidationError", "ValidationError"):
                document["components"]["schemas"].pop(unused, None)
            if self._authenticates:
                document["components"]["securitySchemes"] = _SCHEMES
                document["security"] = [{name: []} for name in _SCHEMES]
        return super().openapi()
