"""One refusal; without the framework, which is imported while a worker starts."""

from starlette.responses import JSONResponse


def reason(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error as Pulsar's clients read it."""
    return JSONResponse({"reason": text}, status, headers)
