"""What OpenAPI tells of answers: every status that can come, and the form of its body."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Answers = dict[int | str, dict[str, Any]]
_MEANINGS: Mapping[int, str] = {
    400: "refused: the reason names the field and the remedy",
    401: "nobody that is known, or a role that may not do this",
    403: "the request comes from another origin, or names a host that is not this worker's",
    404: "there is none of that name",
    408: "nothing came in time",
    409: "the same is under way",
    412: "a condition of it does not hold",
    413: "more bytes than the worker takes",
    415: "the body is no multipart form",
    429: "more requests than httpRequestsMaxPerSecond",
    500: "a defect, or the broker failed",
    502: "a package could not be fetched whole",
    503: "the worker, its leader or the broker is not ready",
}


class Reason(BaseModel):
    """The body of every refusal."""

    reason: str


class WorkerInfo(BaseModel):
    """A worker of the fleet and where it answers."""

    workerId: str  # noqa: N815 - as on the wire
    workerHostname: str  # noqa: N815
    port: int


class DrainProgress(BaseModel):
    """How a drain is getting on."""

    status: str
    lastError: str  # noqa: N815 - as on the wire


class State(BaseModel):
    """What a function keeps under a key: one of the three values."""

    key: str
    stringValue: str | None = None  # noqa: N815 - as on the wire
    byteValue: str | None = None  # noqa: N815
    numberValue: int | None = None  # noqa: N815
    version: int | None = None


def refusals(*statuses: int) -> Answers:
    """Return the refusals of a route."""
    return {status: {"model": Reason, "description": _MEANINGS[status]} for status in statuses}


def found(model: Any) -> Answers:
    """Return the answer with an object."""
    return {200: {"model": model}}


def file_of(media_type: str) -> Answers:
    """Return the answer that is a file or a text."""
    return {200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}}


ALWAYS = refusals(401, 403, 429, 500, 503)
ELSEWHERE: Answers = {307: {"description": "another worker has it: ask the one in Location"}}
FORM = refusals(400, 408, 413, 415)
OF_FUNCTION = refusals(400, 404)
