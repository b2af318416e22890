"""The broker's admin API under the worker's own address, so that one URL serves a Pulsar client whole."""

from collections.abc import AsyncIterator, Iterable
from types import TracebackType
from typing import Self

import anyio
import httpx
from fastapi import Request
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse

from magnetar.credentials import BrokerCredentials
from magnetar.errors import NotReadyError

_TIMEOUT = httpx.Timeout(300, connect=10)
_OF_ONE_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization te trailer upgrade transfer-encoding host".split()
)


_OF_THE_CALLER = frozenset({b"authorization", b"x-pulsar-auth-method-name", b"x-original-principal"})
_ANONYMOUS = BrokerCredentials()


class BrokerProxy:
    """Hands requests to the broker as they come and its answers back, bodies streamed; an async context manager.

    A worker that shows the broker credentials shows its own: it has judged the caller, whom the broker may not know.
    """

    def __init__(self, url: str, credentials: BrokerCredentials = _ANONYMOUS) -> None:
        self._url = httpx.URL(url)
        self._credentials = credentials
        limits = httpx.Limits(max_connections=None)
        # Plain HTTP on this host needs no authorities, and reading them takes a tenth of a start.
        self._client = httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False, limits=limits, verify=False)  # noqa: S501

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, error, trace)

    async def __call__(self, request: Request) -> Response:
        """Ask the broker what a request asks. Raises NotReadyError when it does not answer."""
        path = request.scope["raw_path"] + (b"?" + request.scope["query_string"] if request.url.query else b"")
        forwarded = self._client.build_request(
            request.method,
            self._url.copy_with(raw_path=path),
            headers=self._shown(_passed_on(request.headers.raw)),
            content=_body(request),
        )
        try:
            answer = await self._client.send(forwarded, stream=True)
        except httpx.TransportError as error:
            why = str(error) or type(error).__name__
            raise NotReadyError(f"the broker's admin API does not answer ({why}): see that the broker runs") from None
        response = StreamingResponse(_content(answer), answer.status_code, background=BackgroundTask(answer.aclose))
        response.raw_headers = _passed_on(answer.headers.raw)
        return response

    def _shown(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        if self._credentials.method == "none":
            return headers
        own = [(name.encode(), value.encode()) for name, value in self._credentials.headers().items()]
        return [(name, value) for name, value in headers if name.lower() not in _OF_THE_CALLER] + own


async def _content(answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for block in answer.aiter_raw():
            yield block
    finally:
        with anyio.CancelScope(shield=True):
            await answer.aclose()


def _passed_on(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() not in _OF_ONE_HOP]


def _body(request: Request) -> AsyncIterator[bytes] | None:
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    return request.stream() if has_body else None
