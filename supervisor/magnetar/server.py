"""A worker and all that it is asked through: REST, health, metrics."""

import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import anyio.to_thread
from starlette.types import ASGIApp
from structlog.stdlib import BoundLogger

from magnetar.access import Authentication, load_authentication, load_authorization
from magnetar.config import WorkerConfig
from magnetar.health.grpc_service import HealthService, serve_health
from magnetar.health.http import health_app
from magnetar.health.readiness import Readiness
from magnetar.health.serving import Serving, serving_table
from magnetar.logs import worker_logger
from magnetar.rest.authenticate import AT_THE_ROOT, Authenticate
from magnetar.rest.settings import rest_settings
from magnetar.rest.starting import starting_app
from magnetar.server_tls import renewing
from magnetar.tasks import ServingTasks
from magnetar.web import Switchboard, bind, serve
from magnetar.worker import STEPS, Worker
from magnetar.worker_settings import server_tls


@dataclass(frozen=True)
class Addresses:
    """Where a server is reached; without a broker of its own, `broker` is the Pulsar that it uses."""

    http: str | None
    https: str | None
    broker: str
    broker_admin: str
    health: str
    metrics: str
    pid: int

    def to_json(self) -> dict[str, str | int]:
        """Return the object of the ready line; `http` and `https` are where there is such a port."""
        served = {"http": self.http, "https": self.https}
        return {
            **{name: url for name, url in served.items() if url is not None},
            "broker": self.broker,
            "brokerAdmin": self.broker_admin,
            "health": self.health,
            "metrics": self.metrics,
            "pid": self.pid,
        }


@dataclass(frozen=True)
class _Ports:
    """Where REST is served."""

    http: int | None
    https: int | None

    @property
    def of_the_fleet(self) -> int:
        """The one that other workers and redirects use: over TLS where there is TLS, as in Pulsar."""
        chosen = self.http if self.https is None else self.https
        assert chosen is not None
        return chosen


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
        self._authentication: Authentication | None = None
        self.worker: Worker
        self.addresses: Addresses

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            host = self.config.magnetar.bind_address
            self._authentication = load_authentication(self.config)
            api = Switchboard(self._known(starting_app(self.readiness), self._open_paths))
            ports = await self._serve_api(stack, api)
            probes = bind("metricsPort (--metrics-port)", host, self.config.magnetar.metrics_port)
            health = self._known(health_app(self.readiness, self._metrics), self._open_probes)
            metrics_port = await stack.enter_async_context(serve(health, probes))
            loading = await stack.enter_async_context(ServingTasks())
            loading.group.start_soon(anyio.to_thread.run_sync, _load_api, name="loading of the API")
            self.worker = await stack.enter_async_context(self._made_worker(ports.of_the_fleet))
            api.current = await self._api(stack)
            service = HealthService(self._serving, self.worker.instances)
            health_port = await stack.enter_async_context(serve_health(service, host, self.config.magnetar.health_port))
            self.addresses = self._addresses(ports, health_port, metrics_port)
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._open.__aexit__(kind, error, trace)

    async def _serve_api(self, stack: AsyncExitStack, api: ASGIApp) -> "_Ports":
        """Serve the API over HTTP, over TLS, or over both."""
        host, config = self.config.magnetar.bind_address, self.config
        http = https = None
        if config.plain_http:
            listener = bind("workerPort (--http-port)", host, config.worker_port)
            http = await stack.enter_async_context(serve(api, listener))
        if (tls := server_tls(config)) is not None:
            context = renewing(tls, self._log)
            listener = bind("workerPortTls", host, config.worker_port_tls or 0)
            https = await stack.enter_async_context(serve(api, listener, context))
        return _Ports(http, https)

    def _known(self, app: ASGIApp, open_paths: frozenset[str]) -> ASGIApp:
        return app if self._authentication is None else Authenticate(app, self._authentication, open_paths)

    @property
    def _open_paths(self) -> frozenset[str]:
        return frozenset() if self.config.authenticate_metrics_endpoint else AT_THE_ROOT

    @property
    def _open_probes(self) -> frozenset[str]:
        metrics = () if self.config.authenticate_metrics_endpoint else ("/metrics", "/")
        return frozenset({"/livez", "/readyz", *metrics})

    def _made_worker(self, http_port: int) -> Worker:
        return Worker(self.config, port=http_port, readiness=self.readiness, logger=self._log)

    async def _api(self, stack: AsyncExitStack) -> ASGIApp:
        from magnetar.rest.app import BrokerProxy, RestContext, build_app  # noqa: PLC0415 - see _load_api

        worker = self.worker
        proxy = None
        if worker.broker:
            proxy = BrokerProxy(worker.broker.admin_url, worker.broker_credentials)
            await stack.enter_async_context(proxy)
        context = RestContext(
            functions=worker.functions,
            coordination=worker.coordination,
            instances=worker.instances,
            readiness=self.readiness,
            metrics=worker.metrics_text,
            packages=worker.packages,
            settings=rest_settings(self.config),
            proxy=proxy,
            authentication=self._authentication,
            authorization=load_authorization(self.config, worker.admin),
        )
        return build_app(context)

    async def _metrics(self) -> str:
        return await self.worker.metrics_text() if self.readiness.ready else ""

    def _serving(self) -> dict[str, Serving]:
        return serving_table(self.worker.instances.views(), worker_ready=self.readiness.ready)

    def _addresses(self, ports: "_Ports", health_port: int, metrics_port: int) -> Addresses:
        host = reachable(self.config.magnetar.bind_address)
        used = self.worker.config
        return Addresses(
            http=None if ports.http is None else f"http://{host}:{ports.http}",
            https=None if ports.https is None else f"https://{host}:{ports.https}",
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
