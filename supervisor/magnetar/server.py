"""A worker and all that it is asked through: REST, health, metrics."""

import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import anyio.to_thread
from starlette.types import ASGIApp
from structlog.stdlib import BoundLogger

from magnetar.config import WorkerConfig
from magnetar.health.grpc_service import HealthService, serve_health
from magnetar.health.http import health_app
from magnetar.health.readiness import Readiness
from magnetar.health.serving import Serving, serving_table
from magnetar.logs import worker_logger
from magnetar.rest.settings import rest_settings
from magnetar.rest.starting import starting_app
from magnetar.tasks import ServingTasks
from magnetar.web import Switchboard, bind, serve
from magnetar.worker import STEPS, Worker


@dataclass(frozen=True)
class Addresses:
    """Where a server is reached; without a broker of its own, `broker` is the Pulsar that it uses."""

    http: str
    broker: str
    broker_admin: str
    health: str
    metrics: str
    pid: int

    def to_json(self) -> dict[str, str | int]:
        """Return the object of the ready line."""
        return {
            "http": self.http,
            "broker": self.broker,
            "brokerAdmin": self.broker_admin,
            "health": self.health,
            "metrics": self.metrics,
            "pid": self.pid,
        }


class Server:
    """A worker with REST, health and metrics; an async context manager that is ready when entered.

    The ports answer before that: REST and `/readyz` with 503 and what is waited for. Like a Worker it leaves signals,
    logging and the process around it alone. Raises StartError.
    """

    def __init__(self, config: WorkerConfig, *, logger: BoundLogger | None = None) -> None:
        self.config = config
        self.readiness = Readiness(STEPS)
        self._log = logger or worker_logger()
        self._open = AsyncExitStack()
        self.worker: Worker
        self.addresses: Addresses

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            host = self.config.magnetar.bind_address
            listener = bind("workerPort (--http-port)", host, self.config.worker_port)
            probes = bind("metricsPort (--metrics-port)", host, self.config.magnetar.metrics_port)
            api = Switchboard(starting_app(self.readiness))
            http_port = await stack.enter_async_context(serve(api, listener))
            metrics_port = await stack.enter_async_context(serve(health_app(self.readiness, self._metrics), probes))
            loading = await stack.enter_async_context(ServingTasks())
            loading.group.start_soon(anyio.to_thread.run_sync, _load_api, name="loading of the API")
            self.worker = await stack.enter_async_context(self._made_worker(http_port))
            api.current = await self._api(stack)
            service = HealthService(self._serving, self.worker.instances)
            health_port = await stack.enter_async_context(serve_health(service, host, self.config.magnetar.health_port))
            self.addresses = self._addresses(http_port, health_port, metrics_port)
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._open.__aexit__(kind, error, trace)

    def _made_worker(self, http_port: int) -> Worker:
        return Worker(self.config, port=http_port, readiness=self.readiness, logger=self._log)

    async def _api(self, stack: AsyncExitStack) -> ASGIApp:
        from magnetar.rest.app import BrokerProxy, RestContext, build_app  # noqa: PLC0415 - see _load_api

        worker = self.worker
        proxy = await stack.enter_async_context(BrokerProxy(worker.broker.admin_url)) if worker.broker else None
        context = RestContext(
            functions=worker.functions,
            coordination=worker.coordination,
            instances=worker.instances,
            readiness=self.readiness,
            metrics=worker.metrics_text,
            packages=worker.packages,
            settings=rest_settings(self.config),
            proxy=proxy,
        )
        return build_app(context)

    async def _metrics(self) -> str:
        return await self.worker.metrics_text() if self.readiness.ready else ""

    def _serving(self) -> dict[str, Serving]:
        return serving_table(self.worker.instances.views(), worker_ready=self.readiness.ready)

    def _addresses(self, http_port: int, health_port: int, metrics_port: int) -> Addresses:
        host = reachable(self.config.magnetar.bind_address)
        used = self.worker.config
        return Addresses(
            http=f"http://{host}:{http_port}",
            broker=used.pulsar_service_url,
            broker_admin=used.pulsar_web_service_url,
            health=f"{host}:{health_port}",
            metrics=f"http://{host}:{metrics_port}/metrics",
            pid=os.getpid(),
        )


def _load_api() -> None:
    """Import the framework in a thread of its own while the broker starts: half a second that nobody waits for."""
    import magnetar.rest.app  # noqa: F401, PLC0415


def reachable(host: str) -> str:
    """Return a bind address as it stands in a URL for someone on this host."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - told apart, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
