"""What is asked of the other workers of the fleet, through the REST API that all of them serve."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlencode

import httpx
from magnetar_instance.proto.function import FunctionMetaData

from magnetar.admin_calls import AdminCalls, reason_of, sent_events
from magnetar.coordination.base import WorkerInfo
from magnetar.credentials import BrokerCredentials
from magnetar.errors import NotReadyError, OutOfDateError
from magnetar.model.names import FunctionName, name_of
from magnetar.model.stats import FunctionInstanceStatsData
from magnetar.model.status import FunctionInstanceStatusData
from magnetar.supervision.refusal import Refusal

_ANONYMOUS = BrokerCredentials()
_FUNCTIONS = "/admin/v3/functions"
_REFUSED, _OK = 400, 300


class Peers:
    """The fleet's other workers; an async context manager that keeps a connection pool for each one asked."""

    def __init__(self, credentials: BrokerCredentials = _ANONYMOUS, *, scheme: str = "http") -> None:
        self._credentials = credentials
        self._scheme = scheme
        self._open = AsyncExitStack()
        self._calls: dict[str, AdminCalls] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    def url(self, worker: WorkerInfo) -> str:
        """Return where a worker serves REST."""
        return f"{self._scheme}://{worker.hostname}:{worker.port}"

    async def status(self, worker: WorkerInfo, name: FunctionName, instance_id: int) -> FunctionInstanceStatusData:
        """Ask for the status of an instance. Raises ConnectionError without an answer."""
        return FunctionInstanceStatusData.model_validate(await self._get(worker, name, instance_id, "status"))

    async def stats(self, worker: WorkerInfo, name: FunctionName, instance_id: int) -> FunctionInstanceStatsData:
        """Ask for the figures of an instance. Raises ConnectionError without an answer."""
        answer = await self._get(worker, name, instance_id, "stats")
        return FunctionInstanceStatsData.model_validate({**answer, "one_min": answer.get("1min") or {}})

    async def restart(self, worker: WorkerInfo, name: FunctionName, instance_id: int) -> None:
        """Have an instance restarted. Raises ConnectionError when it was not."""
        await self._ask("POST", worker, f"{_FUNCTIONS}/{_path(name)}/{instance_id}/restart")

    async def set_log_level(
        self, worker: WorkerInfo, name: FunctionName, instance_id: int, level: str, seconds: float | None
    ) -> None:
        """Set the level of an instance's log. Raises ConnectionError when it was not set."""
        asked = {"instance": instance_id, "level": level, **({} if seconds is None else {"seconds": seconds})}
        await self._ask("PUT", worker, f"/magnetar/v1/loglevel/{_path(name)}?{urlencode(asked)}")

    async def refusal(self, worker: WorkerInfo, name: FunctionName) -> Refusal | None:
        """Ask which version of a function is not tried there. Raises ConnectionError without an answer.

        Pulsar's own worker does not know the question, and knows of none.
        """
        try:
            told = (await self._ask("GET", worker, f"/magnetar/v1/updates/{_path(name)}/failed")).json()
            found = [Refusal(each["fingerprint"], each["reason"], each["instance"], each["workerId"]) for each in told]
        except (ValueError, TypeError, KeyError):
            raise ConnectionError(f"worker {worker.worker_id} answered something else") from None
        return found[0] if found else None

    async def log(
        self, worker: WorkerInfo, name: FunctionName, instance_id: int, tail: int, wanted: Mapping[str, str]
    ) -> list[Any]:
        """Return the last lines of an instance's log that are `wanted`. Raises ConnectionError without an answer."""
        return list((await self._ask("GET", worker, _log(name, instance_id, tail, wanted))).json())

    async def events(self, worker: WorkerInfo, name: FunctionName, instance_id: int, since: int) -> list[Any]:
        """Return what happened to an instance lately. Raises ConnectionError without an answer."""
        return list((await self._ask("GET", worker, _events_of(name, instance_id, since))).json())

    def follow_events(
        self, worker: WorkerInfo, name: FunctionName, instance_id: int, since: int
    ) -> AbstractAsyncContextManager[AsyncIterator[dict[str, object]]]:
        """Give what happens to an instance as it happens. Raises ConnectionError without an answer."""
        return self._follow(worker, f"{_events_of(name, instance_id, since)}&follow=true")

    def follow_log(
        self, worker: WorkerInfo, name: FunctionName, instance_id: int, tail: int, wanted: Mapping[str, str]
    ) -> AbstractAsyncContextManager[AsyncIterator[dict[str, object]]]:
        """Give the lines of an instance's log as they come. Raises ConnectionError without an answer."""
        return self._follow(worker, f"{_log(name, instance_id, tail, wanted)}&follow=true")

    @asynccontextmanager
    async def _follow(self, worker: WorkerInfo, path: str) -> AsyncIterator[AsyncIterator[dict[str, object]]]:
        calls = await self._to(worker)
        try:
            async with calls.download(path) as response:
                if response.status_code >= _OK:
                    await response.aread()
                    raise ConnectionError(f"worker {worker.worker_id} did not answer: {reason_of(response)}")
                yield sent_events(response)
        except NotReadyError as error:
            raise ConnectionError(f"worker {worker.worker_id} does not answer: {error}") from None

    async def write(self, leader: WorkerInfo, metadata: FunctionMetaData, *, delete: bool = False) -> None:
        """Hand a function's new metadata to the leader. Raises OutOfDateError as it does, else NotReadyError."""
        details = metadata.functionDetails
        path = f"{_FUNCTIONS}/leader/{_path(name_of(details))}"
        parts = {
            "functionMetaData": (None, metadata.SerializeToString(), "application/octet-stream"),
            "delete": (None, str(delete).lower(), "text/plain"),
        }
        response = await (await self._to(leader)).call("PUT", path, files=parts)
        if response.status_code == _REFUSED:
            raise OutOfDateError(reason_of(response))
        if response.status_code >= _OK:
            raise NotReadyError(f"the leader {leader.worker_id} refused the change: {reason_of(response)}")

    async def _get(self, worker: WorkerInfo, name: FunctionName, instance_id: int, what: str) -> dict[str, Any]:
        answer = (await self._ask("GET", worker, f"{_FUNCTIONS}/{_path(name)}/{instance_id}/{what}")).json()
        return {key: value for key, value in answer.items() if value is not None}

    async def _ask(self, method: str, worker: WorkerInfo, path: str) -> httpx.Response:
        try:
            response = await (await self._to(worker)).call(method, path)
        except NotReadyError as error:
            raise ConnectionError(f"worker {worker.worker_id} does not answer: {error}") from None
        if response.status_code >= _OK:
            raise ConnectionError(f"worker {worker.worker_id} answered {response.status_code}: {reason_of(response)}")
        return response

    async def _to(self, worker: WorkerInfo) -> AdminCalls:
        url = self.url(worker)
        if url not in self._calls:
            calls = AdminCalls(url, self._credentials, f"start the worker {worker.worker_id}, or wait for the fleet")
            self._calls[url] = await self._open.enter_async_context(calls)
        return self._calls[url]


def _log(name: FunctionName, instance_id: int, tail: int, wanted: Mapping[str, str]) -> str:
    query = urlencode({"instance": instance_id, "tail": tail, **wanted})
    return f"/magnetar/v1/logs/{_path(name)}?{query}"


def _events_of(name: FunctionName, instance_id: int, since: int) -> str:
    return f"/magnetar/v1/instances/{_path(name)}/{instance_id}/events?since={since}"


def _path(name: FunctionName) -> str:
    return "/".join(quote(part, safe="") for part in name)
