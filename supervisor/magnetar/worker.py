"""A functions worker: what the fleet assigns to it runs, and is told; nothing of it is served over the network here."""

import os
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread
from magnetar_instance.proto.function import FunctionMetaData
from structlog.stdlib import BoundLogger

from magnetar import worker_settings
from magnetar.broker_admin import BrokerAdmin
from magnetar.broker_security import BrokerSecurity
from magnetar.config import WorkerConfig
from magnetar.coordination import PulsarCoordination
from magnetar.credentials import BrokerCredentials
from magnetar.data_directory import owned
from magnetar.embedded_broker import BrokerAddresses, EmbeddedBroker
from magnetar.errors import RequestError
from magnetar.functions.peers import Peers
from magnetar.functions.service import FunctionsService
from magnetar.functions.settings import functions_settings, url_policy
from magnetar.health.gathering import gather
from magnetar.health.readiness import Readiness
from magnetar.health.worker_metrics import WorkerFigures, worker_text
from magnetar.jitter import spread
from magnetar.log_files.rotator import LogRotator
from magnetar.logs import worker_logger
from magnetar.model.names import name_of, parse_fqfn
from magnetar.packages.environments import Environments
from magnetar.packages.store import PackageStore
from magnetar.processes.launcher import Launcher
from magnetar.processes.subreaper import Subreaper
from magnetar.pulsar_client import PulsarClient
from magnetar.runtimes.base import ExternalRuntime, Runtime
from magnetar.runtimes.process.launch import Language
from magnetar.runtimes.process.runtime import ProcessRuntime
from magnetar.runtimes.thread.runtime import ThreadRuntime
from magnetar.supervision.context import SupervisionContext
from magnetar.supervision.desired import Desired, desired_here
from magnetar.supervision.refusal import Refusal
from magnetar.supervision.rollouts import OtherWorkers, Rollouts
from magnetar.supervision.supervisor import Supervisor
from magnetar.tasks import ServingTasks

STEPS = ("processes", "broker", "coordination")
_STARTS_PER_CORE = 4
_SHORTEST_SWEEP = 10.0
_DAY = 24 * 3600.0


class Worker:
    """One worker; an async context manager that runs what is assigned to it while it is entered.

    It leaves signals, logging and the process around it alone, so several may run in one program, each on a data directory
    of its own. `port` is where REST is served for it, if it is; `environ` what instances may inherit of. Raises StartError
    when it can't start.
    """

    def __init__(
        self,
        config: WorkerConfig,
        *,
        port: int | None = None,
        readiness: Readiness | None = None,
        environ: Mapping[str, str] | None = None,
        logger: BoundLogger | None = None,
    ) -> None:
        self.config = config
        self.readiness = readiness or Readiness(STEPS)
        self._port = config.worker_port if port is None else port
        self._environ = dict(os.environ if environ is None else environ)
        self._log = logger or worker_logger()
        self._began = time.monotonic()
        self._started_ms = 0.0
        self._open = AsyncExitStack()
        self._threads: ThreadRuntime | None = None
        self._processes: ProcessRuntime | None = None
        self._environments: Environments
        self._security: BrokerSecurity | None = None
        self.broker: BrokerAddresses | None = None
        self.broker_credentials: BrokerCredentials
        self.admin: BrokerAdmin
        self.coordination: PulsarCoordination
        self.packages: PackageStore
        self.instances: Supervisor
        self.functions: FunctionsService

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.enter_context(owned(self.config.magnetar.data_directory))
            launcher = await self._start_launcher(stack)
            self.readiness.done("processes")
            await self._find_broker(stack, launcher)
            admin, client, peers = await self._connect(stack)
            self.admin = admin
            self.readiness.done("broker")
            self.coordination = await stack.enter_async_context(
                PulsarCoordination(
                    worker_settings.coordination_settings(self.config, self._port),
                    admin,
                    client,
                    peers.write,
                    self._log,
                )
            )
            self.readiness.done("coordination")
            self.packages = PackageStore(
                admin, self.config.magnetar.data_directory / "packages", url_policy(self.config)
            )
            external = await self._reach_kubernetes(stack)
            self._environments = worker_settings.environments(self.config, launcher.spawn, self._environ, self._lock_of)
            self.instances = await self._start_supervisor(stack, launcher, external)
            await anyio.to_thread.run_sync(self._environments.sweep, self._environments_in_use())
            self.functions = FunctionsService(
                self.coordination,
                self.instances,
                self.packages,
                admin,
                client,
                peers,
                functions_settings(self.config, self._port),
                external,
                admit=worker_settings.process_admission(self._languages()),
                dependencies=self._environments.check,
            )
            following = await stack.enter_async_context(ServingTasks())
            following.group.start_soon(self._follow, name="assignments")
            following.group.start_soon(self._note_use, name="environments in use")
            if external is not None:
                following.group.start_soon(self._sweep, external, name="sweep")
            self._started_ms = (time.monotonic() - self._began) * 1000
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._open.__aexit__(kind, error, trace)

    async def _start_launcher(self, stack: AsyncExitStack) -> Launcher:
        survival, home = worker_settings.survival(self.config), self.config.magnetar.data_directory.absolute()
        wanted = self.config.magnetar.subreaper and survival is None
        subreaper = stack.enter_context(Subreaper().installed()) if wanted else None
        return await stack.enter_async_context(Launcher(subreaper=subreaper, home=home, survival=survival))

    async def _find_broker(self, stack: AsyncExitStack, launcher: Launcher) -> None:
        """Start the broker that belongs to this worker, if one does, and note where it is."""
        settings = worker_settings.broker_process_settings(self.config, self._environ)
        if settings is None:
            return
        policy = worker_settings.restart_policy(self.config)
        adopt = launcher.adopt if launcher.survives else None
        broker = await stack.enter_async_context(
            EmbeddedBroker(settings, launcher.spawn, policy, self._log, adopt=adopt)
        )
        self.broker, self._security = broker.addresses, settings.security
        self.config = self.config.model_copy(
            update={
                "pulsar_service_url": broker.addresses.service_url,
                "pulsar_web_service_url": broker.addresses.admin_url,
            }
        )

    async def _connect(self, stack: AsyncExitStack) -> tuple[BrokerAdmin, PulsarClient, Peers]:
        own = worker_settings.broker_credentials(self.config)
        shown = self.broker_credentials = self._shown_to_broker(own)
        admin = await stack.enter_async_context(BrokerAdmin(self.config.pulsar_web_service_url, shown))
        client = await stack.enter_async_context(PulsarClient(self.config.pulsar_service_url, shown))
        peers = await stack.enter_async_context(Peers(own, scheme="https" if self.config.tls_enabled else "http"))
        return admin, client, peers

    def _shown_to_broker(self, own: BrokerCredentials) -> BrokerCredentials:
        """Return what a broker is shown: one that belongs to this worker knows it by a token made for this."""
        if self.broker is None:
            return own
        asks = self._security is not None and self._security.asks
        token = self._security.workers_token if self._security and asks else ""
        return replace(own, plugin="token" if token else "", parameters=token)

    async def _reach_kubernetes(self, stack: AsyncExitStack) -> ExternalRuntime | None:
        if worker_settings.KUBERNETES not in self.config.magnetar.runtimes:
            return None
        return await stack.enter_async_context(worker_settings.kubernetes_runtime(self.config))

    async def _start_supervisor(
        self, stack: AsyncExitStack, launcher: Launcher, external: ExternalRuntime | None
    ) -> Supervisor:
        runtimes: dict[str, Runtime] = {}
        sign = self._security.token if self._security and self._security.asks else None
        rotator = await stack.enter_async_context(LogRotator(worker_settings.log_policy(self.config), self._log))
        if "process" in self.config.magnetar.runtimes:
            settings = worker_settings.process_settings(self.config, self._environ, sign)
            processes = ProcessRuntime(settings, launcher, self._languages(), rotator=rotator, logger=self._log)
            runtimes["process"] = self._processes = await stack.enter_async_context(processes)
        launcher.settled()
        if "thread" in self.config.magnetar.runtimes:
            threads = ThreadRuntime(worker_settings.thread_settings(self.config, sign), self._log, rotator=rotator)
            self._threads = await stack.enter_async_context(threads)
            runtimes["thread"] = self._threads
        context = SupervisionContext(
            worker_id=self.config.worker_id,
            runtimes=runtimes,
            fetch=self.packages.fetch,
            choose=worker_settings.runtime_choice(self.config),
            environment=self._environments.for_function,
            removed=self._removed,
            policy=worker_settings.restart_policy(self.config),
            stop_grace=self.config.magnetar.stop_grace,
            start_timeout=self.config.magnetar.start_timeout,
            external=external,
            rollouts=Rollouts(OtherWorkers(self.coordination.turn, self._refusal_elsewhere)),
            assigned=lambda fqiid: fqiid in self.coordination.assignments,
            starts=anyio.CapacityLimiter(_STARTS_PER_CORE * (os.cpu_count() or 1)),
            health=worker_settings.health_policy(self.config),
            hold=self.packages.hold,
            rejected_versions=self.config.magnetar.data_directory.absolute() / "updates",
            logger=self._log,
        )
        return await stack.enter_async_context(Supervisor(context))

    def _languages(self) -> Mapping[str, Language]:
        settings = worker_settings.process_settings(self.config, self._environ)
        return worker_settings.process_languages(self.config, settings)

    async def _removed(self, removed: Desired) -> None:
        await self.functions.clean_up(removed)

    async def _refusal_elsewhere(self, fqfn: str, fingerprint: str) -> Refusal | None:
        return await self.functions.refusal_elsewhere(parse_fqfn(fqfn), fingerprint)

    async def _follow(self) -> None:
        """Run what is assigned here, and take up every change."""
        while True:
            seen = self.coordination.generation
            wanted = desired_here(self.coordination.assignments, self.config.worker_id)
            self.instances.apply(wanted)
            if self._processes is not None:
                await self._processes.end_unwanted(wanted)
            await self.coordination.changed(seen)

    async def _lock_of(self, function: FunctionMetaData) -> bytes | None:
        return await self.packages.lock(name_of(function.functionDetails), function.packageLocation)

    def _environments_in_use(self) -> frozenset[Path]:
        return self._processes.environments if self._processes else frozenset()

    async def _note_use(self) -> None:
        """Note each day which environments are in use: what is not, for long, is removed when a worker starts."""
        while True:
            # The timer `environments in use`.
            await anyio.sleep(spread(_DAY))
            await anyio.to_thread.run_sync(self._environments.touch, self._environments_in_use())

    async def _sweep(self, external: ExternalRuntime) -> None:
        """As the leader, remove what deleted functions left behind whose worker did not live to do it.

        What is unknown twice is removed; the interval is that after which the fleet gives up a worker.
        """
        interval = max(self.config.reschedule_timeout_ms / 1000, _SHORTEST_SWEEP)
        while True:
            # The timer `sweep`.
            await anyio.sleep(spread(interval))
            if not self.coordination.is_leader:
                continue
            try:
                await external.sweep(self.coordination.functions.keys())
            except RequestError as error:
                self._log.warning("What deleted functions left could not be looked for.", reason=str(error))

    def figures(self) -> WorkerFigures:
        """Return the worker's own figures."""
        functions = self.coordination.functions
        return WorkerFigures(
            cluster=self.config.pulsar_functions_cluster,
            start_up_ms=self._started_ms,
            is_leader=self.coordination.is_leader,
            functions=len(functions),
            expected_instances=sum(each.functionDetails.parallelism for each in functions.values()),
            abandoned_threads=self._threads.abandoned_threads if self._threads else 0,
            views=self.instances.views(),
        )

    async def metrics_text(self) -> str:
        """Return one Prometheus exposition of the worker and of all its instances that answer."""
        return await gather(worker_text(self.figures()), self.instances)
