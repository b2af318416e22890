"""A supervisor over a runtime whose instances a test plays by hand."""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from magnetar.policy.health import HealthPolicy
from magnetar.policy.restart import RestartPolicy
from magnetar.runtimes.base import Exit, InstanceSpec, Notice, RuntimeStartError, Survivor
from magnetar.supervision.context import SupervisionContext
from magnetar.supervision.desired import Desired
from magnetar.supervision.supervisor import Supervisor
from magnetar_instance.proto.control import FunctionStatus, MetricsData
from magnetar_instance.proto.function import STOPPED, FunctionDetails, FunctionMetaData, PackageLocationMetaData

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from magnetar.errors import RefusedError
    from magnetar.lifecycle import Phase


class ScriptedInstance:
    """An instance without a process: a test says when it is ready and how it ends."""

    pid: int | None = None
    grpc_port = metrics_port = None
    log_file = Path("nowhere.log")

    def __init__(self, spec: InstanceSpec, *, waits: bool = False, survives: bool = False) -> None:
        self.spec = spec
        self.waits = waits
        self.survives = survives
        self.subscribed = not waits
        self.let_go_of = False
        self._send, self._receive = anyio.create_memory_object_stream[Notice](8)
        self._ended = anyio.Event()
        self._exit = Exit()
        self.stops = 0
        self.dumps = 0
        self.on_stop: Callable[[], object] = lambda: None

    def set_log_level(self, level: str, seconds: float | None) -> bool:
        return False

    def dump_stacks(self, *, is_to_end: bool = False) -> None:
        del is_to_end
        self.dumps += 1

    async def notices(self) -> AsyncIterator[Notice]:
        async with self._receive:
            async for notice in self._receive:
                yield notice

    def tell(self, notice: Notice) -> None:
        self._send.send_nowait(notice)

    def end(self, ended: Exit) -> None:
        if not self._ended.is_set():
            self._exit = ended
            self._send.close()
            self._ended.set()

    def subscribe(self) -> None:
        self.subscribed = True

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    async def let_go(self) -> None:
        self.let_go_of = True

    async def wait(self) -> Exit:
        await self._ended.wait()
        return self._exit

    async def stop(self, grace: float) -> None:
        self.stops += 1
        self.on_stop()
        self.end(Exit(code=0))

    async def status(self) -> FunctionStatus:
        return FunctionStatus(running=True)

    async def metrics(self) -> MetricsData:
        return MetricsData()

    async def metrics_text(self) -> str:
        return ""


class ScriptedRuntime:
    """A runtime whose instances a test plays by hand."""

    name = "process"

    def __init__(self) -> None:
        self._started, self.started = anyio.create_memory_object_stream[ScriptedInstance](100)
        self.errors: deque[RuntimeStartError] = deque()
        self.can_wait = False
        self.survives = False
        self.left: dict[str, Survivor] = {}

    async def start(self, spec: InstanceSpec, *, waits: bool = False) -> ScriptedInstance:
        if self.errors:
            raise self.errors.popleft()
        instance = ScriptedInstance(spec, waits=waits, survives=self.survives)
        self._started.send_nowait(instance)
        return instance

    async def prepare(self, spec: InstanceSpec) -> ScriptedInstance | None:
        return await self.start(spec, waits=True) if self.can_wait else None

    async def adopt(self, fqiid: str) -> Survivor | None:
        return self.left.pop(fqiid, None)


class World:
    """A supervisor with its surroundings."""

    def __init__(self) -> None:
        self.runtime = ScriptedRuntime()
        self.fetch_errors: deque[Exception] = deque()
        self.refusal: RefusedError | None = None
        self.removed: list[str] = []
        self.supervisor: Supervisor

    async def fetch(self, location: PackageLocationMetaData) -> Path:
        if self.fetch_errors:
            raise self.fetch_errors.popleft()
        return Path(location.packagePath)

    def choose(self, details: FunctionDetails) -> str:
        if self.refusal:
            raise self.refusal
        return "process"

    async def on_removed(self, desired: Desired) -> None:
        self.removed.append(desired.fqiid)

    async def until(self, phase: Phase, fqiid: str = "a/b/c:0") -> str:
        """Wait until an instance is in a phase and return the reason."""
        while True:
            seen = self.supervisor.generation
            view = self.supervisor.view(fqiid)
            if view is not None and view.phase is phase:
                return view.reason
            await self.supervisor.changed(seen)


@asynccontextmanager
async def world(health: HealthPolicy | None = None, **policy: float) -> AsyncIterator[World]:
    made = World()
    context = SupervisionContext(
        worker_id="w",
        runtimes={"process": made.runtime},
        fetch=made.fetch,
        choose=made.choose,
        removed=made.on_removed,
        policy=RestartPolicy(**{"initial_delay": 0.001, "max_delay": 0.001, **policy}),
        stop_grace=1.0,
        start_timeout=30.0,
        starts=anyio.CapacityLimiter(4),
        health=health or HealthPolicy(),
    )
    with anyio.fail_after(20):
        async with Supervisor(context) as supervisor:
            made.supervisor = supervisor
            yield made


def function(package: str = "code.py", *, running: bool = True, **details: Any) -> dict[str, Desired]:
    metadata = FunctionMetaData(
        functionDetails=FunctionDetails(tenant="a", namespace="b", name="c", runtime="PYTHON", **details),
        packageLocation=PackageLocationMetaData(packagePath=package),
    )
    if not running:
        metadata.instanceStates[0] = STOPPED
    return {"a/b/c:0": Desired(metadata, 0)}
