"""Runtimes and supervisors with real processes and a real broker, for tests; and a count of what they leave behind."""

import contextlib
import gc
import os
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import anyio.to_thread
import pulsar
from anyio.abc import TaskGroup
from instance_process import details, produce, unique
from magnetar.lifecycle import Phase
from magnetar.policy.health import HealthPolicy
from magnetar.policy.restart import RestartPolicy
from magnetar.processes.launcher import Launcher
from magnetar.processes.subreaper import Subreaper
from magnetar.processes.watch import children
from magnetar.runtimes.base import InstanceSpec, Notice, Ready, RunningInstance, Runtime
from magnetar.runtimes.process.launch import Language
from magnetar.runtimes.process.python import PythonLanguage
from magnetar.runtimes.process.runtime import ProcessRuntime
from magnetar.runtimes.process.settings import ProcessSettings
from magnetar.supervision.base import InstanceView
from magnetar.supervision.context import SupervisionContext
from magnetar.supervision.desired import Desired
from magnetar.supervision.supervisor import Supervisor
from magnetar_broker.testing import RunningBroker
from magnetar_instance.proto.function import FunctionDetails, FunctionMetaData, PackageLocationMetaData


def spec_of(function: FunctionDetails, code: Path, instance_id: int = 0) -> InstanceSpec:
    return InstanceSpec(function, instance_id, code, str(uuid.uuid4()), str(uuid.uuid4()))


def write(folder: Path, text: str, name: str = "code.py") -> Path:
    """Write a function's code into a directory of its own."""
    path = folder / f"code-{uuid.uuid4().hex[:8]}" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return path


def function(class_name: str = "code", inputs: list[str] | None = None, output: str = "") -> FunctionDetails:
    return details(class_name, inputs or [unique("in")], output)


class Running:
    """One started instance; what it tells is kept in `told`."""

    def __init__(self, instance: RunningInstance) -> None:
        self.instance = instance
        self.told: list[Notice] = []
        self._news = anyio.Event()
        self._silent = False

    async def listen(self) -> None:
        async for notice in self.instance.notices():
            self.told.append(notice)
            self._announce()
        self._silent = True
        self._announce()

    def _announce(self) -> None:
        self._news.set()
        self._news = anyio.Event()

    async def until(self, condition: Callable[[list[Notice]], bool]) -> None:
        """Wait until what was told is as wanted."""
        while not condition(self.told):
            assert not self._silent, (self.told, await self.instance.wait())
            await self._news.wait()


@dataclass
class Started:
    """A runtime whose instances a test starts itself."""

    runtime: Runtime
    tasks: TaskGroup
    running: list[Running] = field(default_factory=list, kw_only=True)

    async def start(self, spec: InstanceSpec) -> Running:
        running = Running(await self.runtime.start(spec))
        self.running.append(running)
        self.tasks.start_soon(running.listen)
        return running

    async def end(self) -> None:
        """End every instance that a test left running, and with it what its process and its channel hold."""
        with anyio.CancelScope(shield=True):
            for running in self.running:
                await running.instance.stop(0)

    async def ready(self, spec: InstanceSpec) -> Running:
        """Start an instance and wait until it is subscribed."""
        running = await self.start(spec)
        await running.until(lambda told: Ready() in told)
        return running


@dataclass
class Processes(Started):
    """A process runtime and its launcher."""

    launcher: Launcher
    settings: ProcessSettings


def process_settings(service_url: str, folder: Path) -> ProcessSettings:
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    return ProcessSettings(
        service_url, "test", folder / "logs", environment, folder / "download", folder / "records", zygote=True
    )


@contextlib.asynccontextmanager
async def processes(
    service_url: str,
    folder: Path,
    *,
    kind: str = "self",
    languages: Callable[[ProcessSettings], Mapping[str, Language]] = lambda settings: {
        "PYTHON": PythonLanguage(settings)
    },
    patience: float = 50,
    **changes: object,
) -> AsyncIterator[Processes]:
    """A process runtime whose instances are the launcher's children (`self`) or this process's (`worker`).

    All together have `patience` seconds.
    """
    settings = replace(process_settings(service_url, folder), **changes)  # type: ignore[arg-type]
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(anyio.fail_after(patience))
        subreaper = stack.enter_context(Subreaper().installed()) if kind == "worker" else None
        launcher = await stack.enter_async_context(Launcher(subreaper=subreaper))
        runtime = await stack.enter_async_context(ProcessRuntime(settings, launcher, languages(settings)))
        tasks = await stack.enter_async_context(anyio.create_task_group())
        yield Processes(runtime, tasks, launcher, settings)
        tasks.cancel_scope.cancel()


class Supervised:
    """A supervisor over one runtime."""

    def __init__(self, supervisor: Supervisor, package: dict[str, Path]) -> None:
        self.supervisor = supervisor
        self._packages = package
        self._wanted: dict[str, Desired] = {}

    def run(self, function: FunctionDetails, code: Path, instances: int = 1) -> str:
        """Ask for a function; returns the name of its first instance."""
        self._packages[str(code)] = code
        for number in range(instances):
            metadata = FunctionMetaData(
                functionDetails=function, packageLocation=PackageLocationMetaData(packagePath=str(code))
            )
            desired = Desired(metadata, number)
            self._wanted[desired.fqiid] = desired
        self.supervisor.apply(self._wanted)
        return f"{function.tenant}/{function.namespace}/{function.name}:0"

    def remove(self, fqiid: str) -> None:
        del self._wanted[fqiid]
        self.supervisor.apply(self._wanted)

    async def until(self, fqiid: str, *phases: Phase) -> InstanceView:
        """Wait until an instance is in one of these phases."""
        while True:
            seen = self.supervisor.generation
            view = self.supervisor.view(fqiid)
            if view is not None and view.phase in phases:
                return view
            await self.supervisor.changed(seen)

    async def until_restarted(self, fqiid: str, restarts: int = 1) -> InstanceView:
        """Wait until an instance runs again after so many restarts."""
        while True:
            view = await self.until(fqiid, Phase.RUNNING)
            if view.restarts >= restarts:
                return view
            await self.supervisor.changed(self.supervisor.generation)


@contextlib.asynccontextmanager
async def supervised(
    runtime: Runtime,
    *,
    stop_grace: float = 10.0,
    policy: RestartPolicy | None = None,
    start_timeout: float = 40.0,
    health: HealthPolicy | None = None,
) -> AsyncIterator[Supervised]:
    """A supervisor over one runtime, whose packages are files."""
    packages: dict[str, Path] = {}

    async def fetch(location: PackageLocationMetaData) -> Path:
        return packages[location.packagePath]

    async def removed(_: Desired) -> None:
        return None

    context = SupervisionContext(
        worker_id="w",
        runtimes={runtime.name: runtime},
        fetch=fetch,
        choose=lambda _: runtime.name,
        removed=removed,
        policy=policy or RestartPolicy(),
        stop_grace=stop_grace,
        start_timeout=start_timeout,
        starts=anyio.CapacityLimiter(8),
        health=health or HealthPolicy(),
    )
    async with Supervisor(context) as supervisor:
        yield Supervised(supervisor, packages)


@contextlib.contextmanager
def client_of(service_url: str) -> Iterator[pulsar.Client]:
    made = pulsar.Client(service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    try:
        yield made
    finally:
        made.close()


@dataclass(frozen=True)
class Held:
    """What this process holds: its children, descriptors and threads."""

    children: frozenset[int]
    descriptors: int
    threads: frozenset[str]

    @classmethod
    def now(cls) -> "Held":
        gc.collect()
        ours = (thread.name for thread in threading.enumerate() if not thread.name.startswith("AnyIO worker"))
        return cls(frozenset(children(os.getpid())), len(list(Path("/proc/self/fd").iterdir())), frozenset(ours))


async def say(broker: RunningBroker, source: str, *texts: str) -> None:
    def run() -> None:
        with client_of(broker.service_url) as client:
            produce(client, source, [text.encode() for text in texts])

    await anyio.to_thread.run_sync(run)
