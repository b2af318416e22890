"""Functions of a worker: Pulsar's admin API v3."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import cast
from urllib.parse import quote

from magnetar.client.calls import WorkerCalls
from magnetar.client.forms import OCTETS, Deployment, json_part, text_part
from magnetar.client.transfers import Progress, reading, writing
from magnetar.model.function import FunctionConfig
from magnetar.model.names import FunctionName
from magnetar.model.stats import FunctionInstanceStatsData, FunctionStats
from magnetar.model.status import FunctionInstanceStatusData, FunctionStatus

_BASE = "/admin/v3/functions"


class Functions:
    """What can be done with functions; an `instance` of None means all of them."""

    def __init__(self, calls: WorkerCalls) -> None:
        self._calls = calls

    async def create(
        self,
        config: FunctionConfig | Mapping[str, object],
        *,
        file: Path | None = None,
        url: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Deploy a function, its package from a file here or from a URL that the worker reads.

        The config holds tenant, namespace and name. Returns when the function is known, not when it runs.
        """
        deployment = Deployment(config, file, url, progress)
        with deployment.parts() as parts:
            await self._calls.call("POST", _path(deployment.name), parts=parts)

    async def update(
        self,
        config: FunctionConfig | Mapping[str, object],
        *,
        file: Path | None = None,
        url: str | None = None,
        update_auth_data: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Change a function; what the config and the package don't give stays as it is."""
        deployment = Deployment(config, file, url, progress)
        with deployment.parts(updateOptions={"updateAuthData": update_auth_data}) as parts:
            await self._calls.call("PUT", _path(deployment.name), parts=parts)

    async def get(self, name: FunctionName) -> FunctionConfig:
        """Return a function's config."""
        return FunctionConfig.model_validate(await self._calls.json(_path(name)))

    async def names(self, tenant: str, namespace: str) -> list[str]:
        """Return the names of a namespace's functions."""
        return cast("list[str]", await self._calls.json(f"{_BASE}/{quote(tenant)}/{quote(namespace)}"))

    async def delete(self, name: FunctionName) -> None:
        """Stop a function and forget it."""
        await self._calls.call("DELETE", _path(name))

    async def start(self, name: FunctionName, instance: int | None = None) -> None:
        """Start what is stopped."""
        await self._calls.call("POST", _path(name, instance, "start"))

    async def stop(self, name: FunctionName, instance: int | None = None) -> None:
        """Stop what runs."""
        await self._calls.call("POST", _path(name, instance, "stop"))

    async def restart(self, name: FunctionName, instance: int | None = None) -> None:
        """Stop and start anew."""
        await self._calls.call("POST", _path(name, instance, "restart"))

    async def status(self, name: FunctionName) -> FunctionStatus:
        """Return the status of all instances."""
        return FunctionStatus.model_validate(await self._calls.json(_path(name, None, "status")))

    async def instance_status(self, name: FunctionName, instance: int) -> FunctionInstanceStatusData:
        """Return the status of one instance."""
        return FunctionInstanceStatusData.model_validate(await self._calls.json(_path(name, instance, "status")))

    async def stats(self, name: FunctionName) -> FunctionStats:
        """Return the figures of all instances."""
        return FunctionStats.model_validate(await self._calls.json(_path(name, None, "stats")))

    async def instance_stats(self, name: FunctionName, instance: int) -> FunctionInstanceStatsData:
        """Return the figures of one instance."""
        return FunctionInstanceStatsData.model_validate(await self._calls.json(_path(name, instance, "stats")))

    async def trigger(
        self, name: FunctionName, *, value: str | None = None, file: Path | None = None, topic: str | None = None
    ) -> str:
        """Send a text or a file to a function and return what comes out, "" when it has no output."""
        parts: dict[str, object] = {}
        with ExitStack() as opened:
            if file:
                parts["dataStream"] = (file.name, opened.enter_context(reading(file, None)), OCTETS)
            if value is not None:
                parts["data"] = text_part(value)
            if topic:
                parts["topic"] = text_part(topic)
            response = await self._calls.call("POST", _path(name, None, "trigger"), parts=parts)
        return response.text

    async def state(self, name: FunctionName, key: str) -> dict[str, object]:
        """Return what a function keeps under a key: `key`, its value by kind, and `version`."""
        path = f"{_path(name, None, 'state')}/{quote(key, safe='')}"
        return cast("dict[str, object]", await self._calls.json(path))

    async def put_state(self, name: FunctionName, state: Mapping[str, object]) -> None:
        """Let a function keep a value; `state` has `key` and one of `stringValue`, `byteValue` and `numberValue`."""
        path = f"{_path(name, None, 'state')}/{quote(str(state['key']), safe='')}"
        await self._calls.call("POST", path, parts={"state": json_part(state)})

    async def builtins(self) -> list[dict[str, object]]:
        """Return the builtin functions of the worker: name, description and class (Pulsar 4.x)."""
        return cast("list[dict[str, object]]", await self._calls.json(f"{_BASE}/builtins"))

    async def reload_builtins(self) -> None:
        """Let the worker look for builtin functions anew (Pulsar 4.x)."""
        await self._calls.call("POST", f"{_BASE}/builtins/reload")

    async def upload(self, file: Path, path: str, progress: Progress | None = None) -> None:
        """Store a file under a path of the package store."""
        with reading(file, progress) as opened:
            parts = {"data": (file.name, opened, OCTETS), "path": text_part(path)}
            await self._calls.call("POST", f"{_BASE}/upload", parts=parts)

    async def download(
        self,
        target: Path,
        *,
        name: FunctionName | None = None,
        path: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Write a function's package, or what is stored under a path, to a file."""
        where = f"{_BASE}/download" if name is None else _path(name, None, "download")
        params = {"path": path} if path else None
        async with self._calls.stream(where, params=params) as response:
            total, done = int(response.headers.get("content-length", 0)), 0
            with writing(target) as written:
                async for chunk in response.aiter_bytes():
                    done += written.write(chunk)
                    if progress:
                        progress(done, total)


def _path(name: FunctionName, instance: int | None = None, verb: str = "") -> str:
    parts = [_BASE, *(quote(part, safe="") for part in name)]
    if instance is not None:
        parts.append(str(instance))
    return "/".join([*parts, verb] if verb else parts)
