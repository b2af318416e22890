"""Requests and responses of the admin server, and the table of its routes."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import unquote

from magnetar_broker.errors import BrokerError, InvalidError

_BODY_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True)
class Request:
    """One request; `parameters` are the parts of the path that the route names, decoded."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]
    parameters: Mapping[str, str] = field(default_factory=dict)

    def flag(self, name: str) -> bool:
        """Return a query parameter that is true or false."""
        return self.query.get(name, "").lower() == "true"

    def number(self, name: str) -> int:
        """Return a part of the path that is a whole number. Raises InvalidError."""
        text = self.parameters[name]
        if not text.isdecimal():
            raise InvalidError(f"{name}: {text!r} is no whole number")
        return int(text)

    def query_number(self, name: str, default: int) -> int:
        """Return a query parameter that is a whole number. Raises InvalidError."""
        text = self.query.get(name, "")
        if text and not text.isdecimal():
            raise InvalidError(f"{name}: {text!r} is no whole number")
        return int(text) if text else default

    async def read(self) -> bytes:
        """Return the whole body, of at most 4 MiB. Raises InvalidError."""
        parts, size = [], 0
        async for part in self.body:
            size += len(part)
            if size > _BODY_LIMIT:
                raise InvalidError(f"the body has more than {_BODY_LIMIT} bytes")
            parts.append(part)
        return b"".join(parts)

    async def json(self) -> object:
        """Return the body as JSON, None when it is empty. Raises InvalidError."""
        body = await self.read()
        try:
            return json.loads(body) if body.strip() else None
        except ValueError as error:
            raise InvalidError(f"the body is no JSON: {error}") from error

    async def object(self) -> dict[str, object]:
        """Return the body as a JSON object, empty when there is none. Raises InvalidError."""
        value = await self.json()
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise InvalidError("the body must be a JSON object")
        return value


@dataclass(frozen=True)
class Response:
    """One response; the body is bytes or a file."""

    status: int = 204
    body: bytes | Path = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def answer(value: object, status: int = 200) -> Response:
    """Return a response with a JSON body."""
    return Response(status, json.dumps(value).encode())


def refusal(error: BrokerError) -> Response:
    """Return the response to a refused request, in Pulsar's form."""
    return answer({"reason": str(error)}, error.status)


Handler = Callable[[Request], Awaitable[Response]]


class Found(NamedTuple):
    """What a table has for a request: `template` is the path as the route was added, `known` whether any method has it."""

    handler: Handler | None = None
    parameters: Mapping[str, str] = MappingProxyType({})
    known: bool = False
    template: str = ""


class Routes:
    """A table of methods and paths; `{name}` matches one part of a path, `{name:a|b}` one of some words."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Handler, str]] = []

    def add(self, method: str, path: str, handler: Handler) -> None:
        """Add a route."""
        pattern = re.sub(r"\{(\w+):([^}]+)\}", r"(?P<\1>\2)", path)
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern)
        self._routes.append((method, re.compile(pattern + "/?"), handler, path))

    def find(self, method: str, path: str) -> Found:
        """Return what answers a request."""
        known = False
        for each, pattern, handler, template in self._routes:
            match = pattern.fullmatch(path)
            if match:
                known = True
                if each == method:
                    parameters = {key: unquote(value) for key, value in match.groupdict().items()}
                    return Found(handler, parameters, known=True, template=template)
        return Found(known=known)
