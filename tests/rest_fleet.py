"""Workers of one fleet in one process, each with its REST API; instances are tasks that say what a test wants."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import httpx
from coordination_fleet import fast
from magnetar.access import Authentication, Authorization
from magnetar.broker_admin import BrokerAdmin
from magnetar.coordination import PulsarCoordination, WorkerInfo
from magnetar.functions.peers import Peers
from magnetar.functions.service import FunctionsService
from magnetar.functions.settings import FunctionsSettings
from magnetar.health.readiness import Readiness
from magnetar.packages.store import PackageStore
from magnetar.policy.restart import RestartPolicy
from magnetar.pulsar_client import PulsarClient
from magnetar.rest.app import RestContext, RestSettings, build_app
from magnetar.runtimes.base import Exit, InstanceSpec, Notice, Ready
from magnetar.supervision.context import SupervisionContext
from magnetar.supervision.desired import Desired, desired_here
from magnetar.supervision.supervisor import Supervisor
from magnetar.web import Switchboard, bind, serve
from magnetar_broker.testing import RunningBroker
from magnetar_instance.proto.control import FunctionStatus, MetricsData
from starlette.responses import Response


class TaskInstance:
    """An instance that is ready at once and lives until it is stopped."""

    pid: int | None = None
    survives = False
    grpc_port = metrics_port = None

    def __init__(self, log_file: Path) -> None:
        self.log_file = log_file
        self.levels: list[tuple[str, float | None]] = []
        self._ended = anyio.Event()

    async def notices(self) -> AsyncIterator[Notice]:
        yield Ready()
        await self._ended.wait()

    async def wait(self) -> Exit:
        await self._ended.wait()
        return Exit(code=0)

    async def stop(self, grace: float) -> None:
        self._ended.set()

    def subscribe(self) -> None: ...

    async def let_go(self) -> None: ...

    def dump_stacks(self, *, is_to_end: bool = False) -> None: ...

    def set_log_level(self, level: str, seconds: float | None) -> bool:
        self.levels.append((level, seconds))
        return level != "CRITICAL"

    async def status(self) -> FunctionStatus:
        return FunctionStatus(running=True, numReceived=5)

    async def metrics(self) -> MetricsData:
        return MetricsData(receivedTotal=5, avgProcessLatency=2.0, userMetrics={"u": 1.0, "nan": float("nan")})

    async def metrics_text(self) -> str:
        return ""


@dataclass
class TaskRuntime:
    """Starts such instances and writes one line to each one's log."""

    log_directory: Path
    name: str = "process"
    started: list[str] = field(default_factory=list)

    async def start(self, spec: InstanceSpec) -> TaskInstance:
        self.started.append(spec.fqiid)
        name = spec.details.name
        log = self.log_directory / "functions" / spec.fqfn / f"{name}-{spec.instance_id}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"instance {spec.instance_id} started\n")
        return TaskInstance(log)

    async def prepare(self, spec: InstanceSpec) -> None:
        """Refuse to let a successor wait."""

    async def adopt(self, fqiid: str) -> None:
        """Adopt nothing."""


@dataclass
class FleetWorker:
    """One worker: its parts, and a client of its REST API that does not follow redirects."""

    url: str
    http: httpx.AsyncClient
    coordination: PulsarCoordination
    supervisor: Supervisor
    functions: FunctionsService
    admin: BrokerAdmin
    runtime: TaskRuntime
    readiness: Readiness

    async def create(self, name: str, **more: Any) -> httpx.Response:
        """Create a function of one line in public/default."""
        config = {"className": "f", "py": "f.py", "inputs": [f"{name}-in"], "output": f"{name}-out", **more}
        parts = {"functionConfig": (None, json.dumps(config)), "data": ("f.py", b"def process(input): return input\n")}
        return await self.http.post(f"/admin/v3/functions/public/default/{name}", files=parts)


async def not_yet(scope: Any, receive: Any, send: Any) -> None:
    await Response(status_code=503)(scope, receive, send)


@asynccontextmanager
async def fleet_worker(
    broker: RunningBroker,
    namespace: str,
    worker_id: str,
    directory: Path,
    *,
    authentication: Authentication | None = None,
    judge: Callable[[BrokerAdmin], Authorization] | None = None,
    **settings: Any,
) -> AsyncIterator[FleetWorker]:
    """Run a worker while the context is open; `judge` makes what judges its callers."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        switch = Switchboard(not_yet)
        port = await enter(serve(switch, bind("workerPort", "127.0.0.1", 0)))
        admin = await enter(BrokerAdmin(broker.admin_url))
        client = await enter(PulsarClient(broker.service_url))
        peers = await enter(Peers())
        chosen = replace(fast(worker_id, namespace), port=port)
        coordination = await enter(PulsarCoordination(chosen, admin, client, peers.write))
        store = PackageStore(admin, directory / "packages", await enter(httpx.AsyncClient()))
        runtime = TaskRuntime(directory / "logs")
        services: list[FunctionsService] = []

        async def removed(desired: Desired) -> None:
            await services[0].clean_up(desired)

        supervisor = await enter(
            Supervisor(
                SupervisionContext(
                    worker_id=worker_id,
                    runtimes={"process": runtime},
                    fetch=store.fetch,
                    choose=lambda _: "process",
                    removed=removed,
                    policy=RestartPolicy(),
                    stop_grace=1,
                    start_timeout=10,
                    starts=anyio.CapacityLimiter(4),
                )
            )
        )
        me = FunctionsSettings(WorkerInfo(worker_id, "localhost", port), **settings)
        functions = FunctionsService(coordination, supervisor, store, admin, client, peers, me)
        services.append(functions)
        readiness = Readiness(("leader",))
        readiness.done("leader")
        switch.current = build_app(
            RestContext(
                functions,
                coordination,
                supervisor,
                readiness,
                metrics,
                store,
                RestSettings(log_directory=directory / "logs"),
                authentication=authentication,
                authorization=judge(admin) if judge else None,
            )
        )
        tasks = await enter(following(coordination, supervisor, worker_id))
        assert tasks
        http = await enter(httpx.AsyncClient(base_url=f"http://localhost:{port}", timeout=30))
        yield FleetWorker(
            f"http://localhost:{port}", http, coordination, supervisor, functions, admin, runtime, readiness
        )


async def metrics() -> str:
    return "pulsar_function_worker_instance_count 0\n"


@asynccontextmanager
async def following(
    coordination: PulsarCoordination, supervisor: Supervisor, worker_id: str
) -> AsyncIterator[anyio.abc.TaskGroup]:
    async def follow() -> None:
        while True:
            seen = coordination.generation
            supervisor.apply(desired_here(coordination.assignments, worker_id))
            await coordination.changed(seen)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(follow)
        yield tasks
        tasks.cancel_scope.cancel()
