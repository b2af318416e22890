"""What Magnetar's worker tells beyond Pulsar's admin API."""

from collections.abc import AsyncIterator
from typing import cast
from urllib.parse import quote

from magnetar.admin_calls import sent_events
from magnetar.client.calls import WorkerCalls
from magnetar.client.forms import Deployment
from magnetar.client.results import InstanceEvent, InstanceReport, LogLine, Plan
from magnetar.model.names import FunctionName

_BASE = "/magnetar/v1"


class MagnetarApi:
    """Instances, logs and plans."""

    def __init__(self, calls: WorkerCalls) -> None:
        self._calls = calls

    async def instances(self) -> list[InstanceReport]:
        """Return every instance of the asked worker."""
        found = cast("list[object]", await self._calls.json(f"{_BASE}/instances"))
        return [InstanceReport.model_validate(each) for each in found]

    async def instance(self, name: FunctionName, instance: int) -> InstanceReport:
        """Return one instance."""
        return InstanceReport.model_validate(await self._calls.json(f"{_BASE}/instances/{_name(name)}/{instance}"))

    async def log(
        self,
        name: FunctionName,
        *,
        instance: int | None = None,
        tail: int | None = 100,
        since: str = "",
        level: str = "",
    ) -> list[LogLine]:
        """Return the last lines of a function's log, of those at or after a time and of at least a level."""
        response = await self._calls.call("GET", _log(name), params=_window(instance, tail, since, level))
        return [LogLine.model_validate(each) for each in response.json()]

    async def follow(
        self,
        name: FunctionName,
        *,
        instance: int | None = None,
        tail: int | None = 0,
        since: str = "",
        level: str = "",
    ) -> AsyncIterator[LogLine]:
        """Yield the last lines of a function's log and then every line as it comes, until the worker ends it."""
        params = {**_window(instance, tail, since, level), "follow": "true"}
        async with self._calls.stream(_log(name), params=params, endless=True) as response:
            async for each in sent_events(response):
                yield LogLine.model_validate(each)

    async def events(self, name: FunctionName, *, instance: int | None = None) -> list[InstanceEvent]:
        """Return what happened to a function's instances lately, oldest first."""
        response = await self._calls.call("GET", _events(name), params=_chosen(instance))
        return [InstanceEvent.model_validate(each) for each in response.json()]

    async def set_log_level(
        self, name: FunctionName, level: str, *, seconds: float | None = None, instance: int | None = None
    ) -> None:
        """Set the level of a function's log while it runs, after `seconds` the one before again."""
        asked = {"level": level, "seconds": seconds, "instance": instance}
        params = {key: str(value) for key, value in asked.items() if value is not None}
        await self._calls.call("PUT", f"{_BASE}/loglevel/{_name(name)}", params=params)

    async def follow_events(self, name: FunctionName, *, instance: int | None = None) -> AsyncIterator[InstanceEvent]:
        """Yield what happened lately and then every event as it comes, until the worker or the function ends."""
        params = {**_chosen(instance), "follow": "true"}
        async with self._calls.stream(_events(name), params=params, endless=True) as response:
            async for each in sent_events(response):
                yield InstanceEvent.model_validate(each)

    async def manifests(self, name: FunctionName) -> list[dict[str, object]]:
        """Return the objects that a function is, or would be, in Kubernetes; nothing is applied."""
        response = await self._calls.call("GET", f"{_BASE}/manifests/{_name(name)}")
        return list(response.json())

    async def plan(self, deployment: Deployment) -> Plan:
        """Return what creating or updating a function would do; nothing is done."""
        with deployment.parts() as parts:
            response = await self._calls.call("POST", f"{_BASE}/plan/{_name(deployment.name)}", parts=parts)
        return Plan.model_validate(response.json())


def _name(name: FunctionName) -> str:
    return "/".join(quote(part, safe="") for part in name)


def _events(name: FunctionName) -> str:
    return f"{_BASE}/instances/{_name(name)}/events"


def _chosen(instance: int | None) -> dict[str, str]:
    return {} if instance is None else {"instance": str(instance)}


def _log(name: FunctionName) -> str:
    return f"{_BASE}/logs/{_name(name)}"


def _window(instance: int | None, tail: int | None, since: str, level: str) -> dict[str, str]:
    asked = {"tail": tail, "instance": instance, "since": since or None, "level": level or None}
    return {name: str(value) for name, value in asked.items() if value is not None}
