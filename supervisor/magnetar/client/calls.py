"""Requests to a worker: what it refuses and its silence become errors, what it answers becomes values."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import Self

import httpx

from magnetar.admin_calls import AdminCalls, reason_of
from magnetar.credentials import BrokerCredentials
from magnetar.errors import NotReadyError, RefusedByWorkerError, UnreachableError

Parts = Mapping[str, object]
Warn = Callable[[str], None]


class WorkerCalls:
    """Calls of one worker's REST API; every one raises RefusedByWorkerError or UnreachableError.

    `warn` is called with each warning that comes with an answer.
    """

    def __init__(self, url: str, credentials: BrokerCredentials, timeout: float, warn: Warn) -> None:
        self.url = url
        self._warn = warn
        self._calls = AdminCalls(url, credentials, "", timeout)

    async def __aenter__(self) -> Self:
        await self._calls.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._calls.__aexit__(kind, error, traceback)

    async def call(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, parts: Parts | None = None
    ) -> httpx.Response:
        """Make a request and return its answer; `parts` are sent as multipart/form-data."""
        with self._silence():
            response = await self._calls.call(method, path, params=params, files=parts)
        self._accept(response)
        return response

    async def json(self, path: str) -> object:
        """Return what a GET answers, without the keys whose value is null."""
        response = await self.call("GET", path)
        return _without_nulls(response.json())

    @asynccontextmanager
    async def stream(
        self, path: str, *, params: Mapping[str, str] | None = None, endless: bool = False
    ) -> AsyncIterator[httpx.Response]:
        """Make a GET request whose answer's body is yet to be read; an endless one may pause."""
        with self._silence():
            async with self._calls.download(path, params=params, endless=endless) as response:
                if response.is_error:
                    await response.aread()
                self._accept(response)
                yield response

    def _accept(self, response: httpx.Response) -> None:
        for warning in response.headers.get_list("X-Magnetar-Warning"):
            self._warn(warning)
        if not response.is_success:
            html = response.headers.get("content-type", "").startswith("text/html")
            reason = response.reason_phrase if html else reason_of(response)
            raise RefusedByWorkerError(response.status_code, reason)

    @contextmanager
    def _silence(self) -> Iterator[None]:
        try:
            yield
        except NotReadyError as error:
            cause = error.__cause__
            raise UnreachableError(self.url, str(cause) or type(cause).__name__) from error


def _without_nulls(value: object) -> object:
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value
