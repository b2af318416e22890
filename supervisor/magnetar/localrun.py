"""One function run on this host without a worker: its instances are supervised as a worker does, and nothing else is."""

import os
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
from magnetar_instance.proto.function import FunctionMetaData, PackageLocationMetaData
from structlog.stdlib import BoundLogger

from magnetar.config import WorkerConfig, load_config
from magnetar.lifecycle import Phase
from magnetar.log_files.rotator import LogRotator
from magnetar.logs import worker_logger
from magnetar.model import FunctionConfig, infer, to_details, validate
from magnetar.packages.environments import Environments
from magnetar.packages.inspect import check_package
from magnetar.processes.launcher import Launcher
from magnetar.runtimes.process.command import log_file
from magnetar.runtimes.process.runtime import ProcessRuntime
from magnetar.runtimes.process.settings import Credentials
from magnetar.supervision.context import SupervisionContext
from magnetar.supervision.desired import Desired
from magnetar.supervision.supervisor import Supervisor
from magnetar.worker_settings import environments, log_policy, process_languages, process_settings, restart_policy


@dataclass(frozen=True)
class LocalRunSettings:
    """Where the broker is, how instances show who they are, and where files go while the function runs."""

    directory: Path
    service_url: str = "pulsar://localhost:6650"
    credentials: Credentials | None = None
    instance_id_offset: int = 0
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def worker_config(self) -> WorkerConfig:
        """Return what the rooms of a worker need to know. Raises ConfigError for an address that is none."""
        own = {"dataDirectory": str(self.directory)}
        return load_config(
            None,
            {
                "pulsarServiceUrl": self.service_url,
                "downloadDirectory": str(self.directory / "packages"),
                "functionRuntimeFactoryConfigs": {"logDirectory": str(self.directory / "logs")},
                "magnetar": own,
            },
        )


class LocalRun:
    """Runs one function while it is entered; an async context manager.

    Raises RefusedError for a config or a package that a worker would refuse, ConfigError for an address that is none,
    StartError when nothing can be started.
    """

    def __init__(
        self,
        config: FunctionConfig,
        package: Path,
        settings: LocalRunSettings,
        *,
        logger: BoundLogger | None = None,
    ) -> None:
        self._package = package
        self._settings = settings
        self._worker = settings.worker_config()
        self._log = logger or worker_logger()
        self._config = infer(config)
        validate(self._config)
        check_package(package, package.name, self._config.class_name, self._config.runtime or "JAVA")
        self._open = AsyncExitStack()
        self.instances: Supervisor

    @property
    def instance_ids(self) -> range:
        """The numbers of the instances."""
        first = self._settings.instance_id_offset
        return range(first, first + (self._config.parallelism or 1))

    def log_files(self) -> dict[int, tuple[Path, Path]]:
        """Return where each instance's log will be, and what a Java instance prints past its logger."""
        name = (self._config.tenant or "", self._config.namespace or "", self._config.name or "")
        logs = {each: log_file(self._settings.directory / "logs", *name, each) for each in self.instance_ids}
        return {each: (log, log.with_suffix(".out")) for each, log in logs.items()}

    async def __aenter__(self) -> Self:
        worker = self._worker
        async with AsyncExitStack() as stack:
            launcher = await stack.enter_async_context(Launcher())
            settings = replace(process_settings(worker, self._settings.environ), credentials=self._settings.credentials)
            languages = process_languages(worker, settings)
            rotator = await stack.enter_async_context(LogRotator(log_policy(worker), self._log))
            processes = ProcessRuntime(settings, launcher, languages, rotator=rotator, logger=self._log)
            runtime = await stack.enter_async_context(processes)
            installed = environments(worker, launcher.spawn, self._settings.environ)
            await installed.check(self._package, self._package.name)
            self.instances = await stack.enter_async_context(Supervisor(self._context(worker, runtime, installed)))
            self.instances.apply({each.fqiid: each for each in self._desired()})
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._open.__aexit__(kind, error, trace)

    async def until_hopeless(self) -> str:
        """Wait until no instance can run any more, and return why."""
        while True:
            seen = self.instances.generation
            views = self.instances.views()
            if views and all(view.phase is Phase.FAILED for view in views):
                return views[0].reason
            await self.instances.changed(seen)

    def _desired(self) -> list[Desired]:
        location = PackageLocationMetaData(
            packagePath=self._package.absolute().as_uri(), originalFileName=self._package.name
        )
        metadata = FunctionMetaData(functionDetails=to_details(self._config), packageLocation=location)
        return [Desired(metadata, each) for each in self.instance_ids]

    def _context(self, worker: WorkerConfig, runtime: ProcessRuntime, installed: Environments) -> SupervisionContext:
        return SupervisionContext(
            worker_id="localrun",
            runtimes={runtime.name: runtime},
            fetch=self._fetch,
            choose=lambda _: runtime.name,
            environment=installed.for_function,
            removed=_nothing,
            policy=restart_policy(worker),
            stop_grace=worker.magnetar.stop_grace,
            start_timeout=worker.magnetar.start_timeout,
            starts=anyio.CapacityLimiter(os.cpu_count() or 1),
            logger=self._log,
        )

    async def _fetch(self, _: PackageLocationMetaData) -> Path:
        return self._package


async def _nothing(_: Desired) -> None:
    """Keep subscriptions: the function may be run again."""
