"""The thread runtime: Python functions inside the worker's process, each with a client and a thread of its own."""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
from magnetar_instance.settings import ClientAuth, InstanceSettings
from magnetar_instance.state import state_address
from magnetar_instance.thread_output import ThreadOutput
from structlog.stdlib import BoundLogger

from magnetar.errors import RefusedError
from magnetar.log_files.rotator import LogRotator
from magnetar.logs import worker_logger
from magnetar.model.names import name_of
from magnetar.runtimes.base import InstanceSpec, RuntimeStartError
from magnetar.runtimes.choice import language_of
from magnetar.runtimes.handover import credentials_of
from magnetar.runtimes.log_place import place_of_log
from magnetar.runtimes.package_copy import PackageCopies
from magnetar.runtimes.process.settings import Credentials
from magnetar.runtimes.state_place import state_directory
from magnetar.runtimes.thread.instance import ThreadInstance
from magnetar.runtimes.thread.settings import ThreadSettings

_CLOSE_DEADLINE = 3.0


class ThreadRuntime:
    """Runs instances as threads; an async context manager, entered before and left after all of its instances.

    While one of its instances lives, what functions print and log goes to their own files: the process's standard streams
    and its root logger tell them apart, and are put back with the last one.
    """

    name = "thread"

    def __init__(
        self, settings: ThreadSettings, logger: BoundLogger | None = None, *, rotator: LogRotator | None = None
    ) -> None:
        self._settings = settings
        self._rotator = rotator
        self._log = logger or worker_logger()
        self._output = ThreadOutput()
        self._copies = PackageCopies(settings.download_directory)
        self._given_up: list[ThreadInstance] = []
        self._loop: asyncio.AbstractEventLoop

    @property
    def abandoned_threads(self) -> int:
        """How many threads are stuck in user code after they were given up."""
        self._given_up = [each for each in self._given_up if each.alive]
        return len(self._given_up)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._output.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self._close_clients()
        self._output.__exit__(kind, error, trace)

    async def _close_clients(self) -> None:
        """Wait for the clients of the functions that are stuck: one left open would make the interpreter's exit abnormal."""
        with anyio.move_on_after(_CLOSE_DEADLINE):
            for each in self._given_up:
                await each.closed.wait()

    async def adopt(self, _: str) -> None:
        """Return None: a thread does not survive its process."""

    async def start(self, spec: InstanceSpec) -> ThreadInstance:
        """Start an instance. Raises RefusedError for another language, RuntimeStartError when its log can't be written."""
        return self._begin(spec, waits=False)

    async def prepare(self, spec: InstanceSpec) -> ThreadInstance:
        """Start an instance that waits to be told to subscribe. Raises as `start`."""
        return self._begin(spec, waits=True)

    def _begin(self, spec: InstanceSpec, *, waits: bool) -> ThreadInstance:
        language = language_of(spec.details)
        if language != "PYTHON":
            raise RefusedError(f"{language} functions can't run in the thread runtime: use the process runtime")
        log = place_of_log(self._settings.log_directory, spec.details, spec.instance_id)
        try:
            package = self._copies.place(spec)
        except OSError as problem:
            raise RuntimeStartError(f"the function could not be started: {problem}") from problem
        try:
            return self._start(replace(spec, package=package), log, waits=waits)
        except OSError as problem:
            self._copies.remove_now(package)
            raise RuntimeStartError(f"the log {log} can't be written: {problem.strerror}") from problem

    def _start(self, spec: InstanceSpec, log: Path, *, waits: bool) -> ThreadInstance:
        undo = ExitStack()
        undo.callback(self._copies.remove_now, spec.package)
        instance = ThreadInstance(
            self._instance_settings(spec),
            log,
            name=f"{self._settings.group_name}: {spec.fqfn}-{spec.instance_id}",
            call_soon=self._call_soon,
            abandoned=self._given_up.append,
            clean_up=undo.close,
            log_format=self._settings.log_format,
            logger=self._log,
            waits=waits,
        )
        if self._rotator is not None:
            undo.callback(self._rotator.attend(log, instance.reopen_log))
        return instance

    def _call_soon(self, call: Callable[..., object], *arguments: object) -> None:
        # A thread that was given up may come back after the worker has ended, or just then.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *arguments)

    def _instance_settings(self, spec: InstanceSpec) -> InstanceSettings:
        settings = self._settings
        return InstanceSettings(
            details=spec.details,
            instance_id=spec.instance_id,
            function_id=spec.function_id,
            function_version=spec.function_version,
            code=spec.package,
            service_url=settings.pulsar_service_url,
            cluster=settings.cluster_name,
            auth=_client_auth(credentials_of(settings.credentials, spec.auth, spec.fqfn)),
            secrets_provider=settings.secrets_provider,
            state_storage_url=_state_of(settings.data_directory, spec),
        )


def _state_of(data: Path | None, spec: InstanceSpec) -> str:
    return "" if data is None else state_address(state_directory(data, name_of(spec.details)))


def _client_auth(credentials: Credentials | None) -> ClientAuth:
    if credentials is None:
        return ClientAuth()
    return ClientAuth(
        plugin=credentials.plugin,
        parameters=credentials.parameters,
        tls_allow_insecure=credentials.tls_allow_insecure,
        tls_hostname_verification=credentials.hostname_verification,
        tls_trust_certs=credentials.tls_trust_cert_path,
    )
