"""Calls of admin APIs over HTTP: one connection pool, credentials that follow redirects, silence as NotReadyError."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

import httpx

from magnetar.credentials import BrokerCredentials
from magnetar.errors import NotReadyError

_TIMEOUT = 60
_CONNECT_TIMEOUT = 10
_MAX_REDIRECTS = 5
_DATA = "data:"


class AdminCalls:
    """An async context manager around one admin API; `remedy` ends the sentence of NotReadyError when it is silent.

    `timeout` is how many seconds it may be silent within one answer.
    """

    def __init__(self, url: str, credentials: BrokerCredentials, remedy: str, timeout: float = _TIMEOUT) -> None:
        self.url = url.rstrip("/")
        self._credentials = credentials
        self._remedy = remedy
        self._client = httpx.AsyncClient(
            base_url=self.url,
            verify=credentials.ssl_context() if url.startswith("https:") else False,  # plain HTTP needs no authorities
            timeout=httpx.Timeout(timeout, connect=min(timeout, _CONNECT_TIMEOUT)),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, traceback)

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: Mapping[str, str] | None = None,
        files: Mapping[str, object] | None = None,
    ) -> httpx.Response:
        """Make a request and return its whole answer, whatever its status. Raises NotReadyError."""
        request = self._client.build_request(method, path, json=json, params=params, files=files)  # type: ignore[arg-type]
        async with self._answer(request) as response:
            await response.aread()
            return response

    @asynccontextmanager
    async def download(
        self, path: str, *, params: Mapping[str, str] | None = None, endless: bool = False
    ) -> AsyncIterator[httpx.Response]:
        """Make a GET request whose answer's body is yet to be read; an endless one may pause. Raises NotReadyError."""
        request = self._client.build_request("GET", path, params=params)
        if endless:
            request.extensions["timeout"] = {**request.extensions["timeout"], "read": None}
        async with self._answer(request) as response:
            yield response

    @asynccontextmanager
    async def _answer(self, request: httpx.Request) -> AsyncIterator[httpx.Response]:
        try:
            response = await self._follow(request)
            try:
                yield response
            finally:
                await response.aclose()
        except httpx.TransportError as error:
            reason = str(error) or type(error).__name__
            raise NotReadyError(
                f"{request.url.copy_with(path='/')} does not answer ({reason}); {self._remedy}"
            ) from error

    async def _follow(self, request: httpx.Request) -> httpx.Response:
        """Send and follow redirects; unlike httpx's own following, credentials go along, as with Pulsar's clients."""
        scheme = request.url.scheme
        for _ in range(_MAX_REDIRECTS):
            request.headers.update(self._credentials.headers())
            response = await self._client.send(request, stream=True)
            if response.next_request is None:
                return response
            await response.aclose()
            request = response.next_request
            if request.url.scheme != scheme:  # credentials never leave TLS, and never meet an unverified peer
                raise httpx.UnsupportedProtocol(f"redirected from {scheme} to {request.url.scheme}", request=request)
        raise httpx.RemoteProtocolError(f"redirected more than {_MAX_REDIRECTS} times", request=request)


def reason_of(response: httpx.Response) -> str:
    """Return why a request was refused: the `reason` of Pulsar's error body, else the first line of whatever came."""
    try:
        body = json.loads(response.content)
    except ValueError:
        body = None
    if isinstance(body, dict) and isinstance(reason := body.get("reason"), str):
        return reason
    return next(iter(response.text.splitlines()), "") or response.reason_phrase


async def sent_events(response: httpx.Response) -> AsyncIterator[dict[str, object]]:
    """Yield what the server-sent events of an answer carry, as they come."""
    async for line in response.aiter_lines():
        if line.startswith(_DATA):
            yield json.loads(line.removeprefix(_DATA))
