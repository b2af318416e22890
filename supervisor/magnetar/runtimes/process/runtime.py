"""The process runtime: each instance is a process of its own on this host."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from structlog.stdlib import BoundLogger

from magnetar.errors import RefusedError
from magnetar.logs import worker_logger
from magnetar.processes.channel import LauncherGoneError, Spawn, SpawnError
from magnetar.processes.child import Child
from magnetar.processes.launcher import Launcher
from magnetar.processes.leftovers import INSTANCE_MARKER, kill_leftovers
from magnetar.processes.ports import Ports
from magnetar.runtimes.base import InstanceSpec, RuntimeStartError
from magnetar.runtimes.choice import language_of
from magnetar.runtimes.package_copy import PackageCopies
from magnetar.runtimes.process.asking import Asking
from magnetar.runtimes.process.command import log_file, python_environment
from magnetar.runtimes.process.instance import Before, ProcessInstance
from magnetar.runtimes.process.launch import Language, Launch, Place
from magnetar.runtimes.process.link import SupervisorLink
from magnetar.runtimes.process.settings import ProcessSettings
from magnetar.runtimes.process.stub import InstanceStub
from magnetar.runtimes.process.zygotes import Zygotes
from magnetar.tasks import ServingTasks

LINK_VARIABLE = "MAGNETAR_SUPERVISOR_FD"
_SCRAPE_DEADLINE = 5.0


@dataclass(frozen=True)
class _Start:
    """One start under way: what was composed for it, and what tells its processes from others."""

    spec: InstanceSpec
    place: Place
    launch: Launch
    marker: str
    record: Path

    def facts(self) -> dict[str, object]:
        """Return what its record on disk says beside what identifies the process."""
        ports = {"grpcPort": self.place.port, "metricsPort": self.place.metrics_port}
        return {"instance": self.spec.fqiid, "marker": self.marker, "log": str(self.place.log_file), **ports}


class ProcessRuntime:
    """Runs instances as processes; an async context manager, entered before and left after all of its instances.

    The launcher is the worker's; `languages` are by Pulsar's names of them. Python instances of ours are forked by a zygote,
    which is kept warm for as long as the runtime is entered; where it can't, and for every other program, the launcher
    runs the command.
    """

    name = "process"

    def __init__(
        self,
        settings: ProcessSettings,
        launcher: Launcher,
        languages: Mapping[str, Language],
        *,
        logger: BoundLogger | None = None,
    ) -> None:
        self._settings = settings
        self._launcher = launcher
        self._languages = languages
        self._log = logger or worker_logger()
        self._copies = PackageCopies(settings.download_directory)
        self._ports = Ports()
        self._tasks = ServingTasks()
        self._http: httpx.AsyncClient
        self._zygotes: Zygotes

    @property
    def zygote_pids(self) -> list[int]:
        """The process ids of the zygotes that fork this runtime's instances."""
        return self._zygotes.pids

    async def __aenter__(self) -> Self:
        self._settings.records.mkdir(parents=True, exist_ok=True)
        self._http = httpx.AsyncClient(trust_env=False, timeout=_SCRAPE_DEADLINE)
        await self._tasks.__aenter__()
        self._zygotes = Zygotes(self._launcher, self._tasks.group, self._log)
        if self._settings.zygote and self._settings.python_instance is None:
            self._zygotes.warm(python_environment(self._settings))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return await self._tasks.__aexit__(kind, error, trace)
        finally:
            await self._http.aclose()

    async def start(self, spec: InstanceSpec) -> ProcessInstance:
        """Start an instance. Raises RuntimeStartError when that is not possible now, RefusedError when it never is."""
        language = self._languages.get(language_of(spec.details))
        if language is None:
            raise RefusedError(f"{language_of(spec.details)} functions can't run in the process runtime of this worker")
        try:
            async with AsyncExitStack() as undo:
                start = await self._compose(language, spec, undo)
                return await self._run(start, undo)
        except (OSError, SpawnError, LauncherGoneError) as problem:
            raise RuntimeStartError(f"the process could not be started: {problem}") from problem

    async def _compose(self, language: Language, spec: InstanceSpec, undo: AsyncExitStack) -> _Start:
        details = spec.details
        log = log_file(self._settings.log_directory, details.tenant, details.namespace, details.name, spec.instance_id)
        log.parent.mkdir(parents=True, exist_ok=True)
        package = self._copies.place(spec)
        undo.push_async_callback(self._copies.remove, package)
        port, metrics_port = ports = self._ports.take(2)
        undo.callback(self._ports.give_back, ports)
        place = Place(package, port, metrics_port, log)
        record = self._settings.records / f"{details.name}-{spec.instance_id}-{spec.function_id}.json"
        undo.callback(record.unlink, missing_ok=True)
        marker = f"{self._launcher.mark}:{spec.fqiid}:{spec.function_id}"
        return _Start(spec, place, language.launch(spec, place), marker, record)

    async def _run(self, start: _Start, undo: AsyncExitStack) -> ProcessInstance:
        link = SupervisorLink() if start.launch.linked else None
        if link is not None:
            undo.callback(link.close)
        before = Before.now(start.launch, start.place)
        child = await self._spawn(start, link)
        undo.callback(self._kill_leftovers, start)
        if link is not None:
            link.close_theirs()
        stub = InstanceStub(start.place.port)
        undo.push_async_callback(stub.close)
        return ProcessInstance(
            start.spec.instance_id,
            child,
            start.launch,
            start.place,
            before,
            voice=link
            or Asking(child, stub, start.launch.health_interval, before.told_ready(start.launch, start.place)),
            stub=stub,
            scrape=self._scrape,
            clean_up=undo.pop_all().aclose,
        )

    async def _spawn(self, start: _Start, link: SupervisorLink | None) -> Child:
        launch = start.launch
        wanted = Spawn(
            launch.argv,
            {**launch.environment, INSTANCE_MARKER: start.marker},
            cwd=str(launch.cwd) if launch.cwd else None,
            output=str(launch.output),
            record=str(start.record),
            facts=start.facts(),
            descriptors={} if link is None else {LINK_VARIABLE: link.theirs.fileno()},
        )
        if self._settings.zygote and launch.forked_argv is not None:
            try:
                return await self._zygotes.spawn(launch.environment, replace(wanted, argv=launch.forked_argv))
            except LauncherGoneError as problem:
                self._log.warning(
                    "An instance is run without a zygote.", instance=start.spec.fqiid, reason=str(problem)
                )
        return await self._launcher.spawn(wanted)

    def _kill_leftovers(self, start: _Start) -> None:
        left = kill_leftovers(self._launcher.parent, start.marker)
        if left:
            self._log.warning(
                "Processes that an instance left behind were killed.", instance=start.spec.fqiid, pids=left
            )

    async def _scrape(self, port: int) -> str:
        try:
            answer = await self._http.get(f"http://127.0.0.1:{port}/metrics")
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise ConnectionError(f"the instance did not answer with its metrics: {error}") from error
        return answer.text
