"""Functions under development: deployed, followed, and deployed anew when their files change."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
from watchfiles import DefaultFilter, awatch

from magnetar.cli.dev.console import Console
from magnetar.cli.dev.sources import Source, digest
from magnetar.cli.errors import UsageError
from magnetar.cli.functions.config import Given
from magnetar.client import WorkerClient
from magnetar.config import WorkerConfig
from magnetar.errors import RefusedByWorkerError, RequestError, StartError, UnreachableError
from magnetar.lifecycle import Phase
from magnetar.logs import log_to, worker_logger
from magnetar.model.names import FunctionName
from magnetar.serve import serve_until_asked
from magnetar.server import Server
from magnetar.supervision.base import InstanceView

_TROUBLE = {Phase.BACKING_OFF, Phase.CRASH_LOOPING, Phase.FAILED, Phase.UNHEALTHY, Phase.RUNNING}
"""Phases whose reason is worth a line: what runs has one when an update of it could not be made."""
_SETTLE_MS = 100
"""Milliseconds without another change after which a save is over."""
_SAVED = {".py", ".yml", ".yaml", ".json"}
"""Endings of files that a person saves to mend a function."""
_PATIENCE = 15.0
_FIRST_LINES = 20
_WRONG = (UsageError, RequestError, StartError, RefusedByWorkerError, UnreachableError, OSError)


@dataclass
class _Deployed:
    """What the worker has of a source."""

    name: FunctionName
    digest: str


async def develop(config: WorkerConfig, sources: Sequence[Source], reload: bool) -> None:  # noqa: FBT001
    """Run until SIGINT or SIGTERM. Raises StartError when there can be no worker."""
    log_to(level=logging.ERROR)
    logging.getLogger("magnetar").addFilter(_not_of_an_instance)

    async def work(server: Server, asked: anyio.Event) -> None:
        if server.addresses.http is None:
            raise StartError("magnetar dev speaks plain HTTP to its worker: leave workerPort set")
        async with WorkerClient(server.addresses.http) as client, anyio.create_task_group() as tasks:
            session = _Session(server, client, Console())
            tasks.start_soon(session.run, sources, config.magnetar.data_directory, reload, name="functions")
            await asked.wait()
            tasks.cancel_scope.cancel()

    await serve_until_asked(config, work, worker_logger())


def _not_of_an_instance(record: logging.LogRecord) -> bool:
    """Drop what the session tells of instances in its own words."""
    return " instance=" not in record.getMessage()


class _Session:
    def __init__(self, server: Server, client: WorkerClient, console: Console) -> None:
        self._server = server
        self._instances = server.worker.instances
        self._client = client
        self._console = console
        self._deployed: dict[Source, _Deployed] = {}
        self._wrong: dict[Source, str] = {}
        """What was told last of a source that can't be deployed."""

    async def run(self, sources: Sequence[Source], data: Path, reload: bool) -> None:  # noqa: FBT001
        """Deploy all, then print and reload until this is cancelled."""
        where = self._server.addresses
        self._console.plain(f"Magnetar is ready: http {where.http}, broker {where.broker}, pid {where.pid}")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tell_trouble, name="phases")
            for each in sources:
                await self._deploy(each)
            followed = dict.fromkeys(each.name for each in self._deployed.values())
            for name in followed:
                tasks.start_soon(self._print_log, name, name=f"log of {name.fqfn}")
                example = f"magnetar --admin-url {where.http} functions trigger {name.fqfn} --trigger-value hello"
                self._console.say(name.name, f"try it: {example}")
            if reload:
                tasks.start_soon(self._reload, sources, data, name="reload")

    async def _deploy(self, source: Source, *, saved: bool = True) -> None:
        """Send a function as it is now, unless the worker has it so; what is wrong is told, and nothing changes.

        What is wrong as before is told again only where code was `saved`: this command may write into a file beside it.
        """
        before = self._deployed.get(source)
        label = before.name.name if before else source.file.stem
        try:
            given = await anyio.to_thread.run_sync(source.read)
            now = await anyio.to_thread.run_sync(digest, given)
            if before is None or before.digest != now:
                label = given.name.name
                await self._send(source, given, now)
            self._wrong.pop(source, None)
        except _WRONG as error:
            reason = f"{source.file.name} is gone" if not source.file.exists() else str(error)
            rest = "; the version before goes on" if before else ""
            if saved or self._wrong.get(source) != reason:
                self._console.problem(label, f"{reason}{rest}")
            self._wrong[source] = reason

    async def _send(self, source: Source, given: Given, now: str) -> None:
        functions, began = self._client.functions, time.time()
        before = {each.fqiid: each.reason for each in self._of(given.name)}
        for warning in given.warnings:
            self._console.problem(given.name.name, warning)
        known = given.name.name in await functions.names(given.name.tenant, given.name.namespace)
        call = functions.update if known else functions.create
        await call(given.values, file=given.file, url=given.url)
        self._deployed[source] = _Deployed(given.name, now)
        if await self._until_running(given, began, before):
            self._console.say(given.name.name, f"runs, digest {now}, after {(time.time() - began) * 1000:.0f} ms")
        else:
            self._console.problem(given.name.name, f"digest {now} does not run: change a file to try again")

    async def _until_running(self, given: Given, since: float, before: dict[str, str]) -> bool:
        """Wait until what was sent runs, or an instance has a reason why not that it did not have `before`.

        An instance that an update left alone counts when the wait is over.
        """
        wanted, views = given.config.parallelism or 1, list[InstanceView]()
        with anyio.move_on_after(_PATIENCE):
            while True:
                seen = self._instances.generation
                views = self._of(given.name)
                if all(each.phase is Phase.RUNNING and (each.started_at or 0) >= since for each in views[:wanted]):
                    if len(views) == wanted:
                        return True
                elif any(each.reason and each.reason != before.get(each.fqiid) for each in views):
                    return False
                before = {each.fqiid: each.reason for each in views if each.reason == before.get(each.fqiid)}
                await self._instances.changed(seen)
        return len(views) == wanted and all(each.phase is Phase.RUNNING and not each.reason for each in views)

    def _of(self, name: FunctionName) -> list[InstanceView]:
        return [each for each in self._instances.views() if each.fqfn == name.fqfn]

    async def _tell_trouble(self) -> None:
        """Tell, once, each time an instance gets into trouble."""
        last: dict[str, tuple[Phase, str]] = {}
        while True:
            seen = self._instances.generation
            for view in self._instances.views():
                now = (view.phase, view.reason)
                if view.reason and view.phase in _TROUBLE and last.get(view.fqiid) != now:
                    self._console.problem(view.fqfn.rpartition("/")[2], f"{view.phase}: {view.reason.splitlines()[0]}")
                last[view.fqiid] = now
            await self._instances.changed(seen)

    async def _print_log(self, name: FunctionName) -> None:
        async for line in self._client.magnetar.follow(name, tail=_FIRST_LINES):
            self._console.line(name.name, line.line)

    async def _reload(self, sources: Sequence[Source], data: Path) -> None:
        ours = DefaultFilter(ignore_paths=[data])
        folders, stop = {each.folder for each in sources}, anyio.Event()
        watched = awatch(*folders, watch_filter=ours, debounce=_SETTLE_MS, step=_SETTLE_MS // 2, stop_event=stop)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_set_when_cancelled, stop, name="end of the watch")
            async for changes in watched:
                paths = [Path(path) for _, path in changes]
                for each in sources:
                    inside = [path for path in paths if path.is_relative_to(each.folder)]
                    if inside:
                        await self._deploy(each, saved=any(path.suffix in _SAVED for path in inside))


async def _set_when_cancelled(stop: anyio.Event) -> None:
    """Set an event when this task is cancelled: the library waits in a thread, which a cancelled scope does not reach."""
    try:
        await anyio.sleep_forever()
    finally:
        stop.set()
