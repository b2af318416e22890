"""The broker that a worker brings along: a child process that is kept running on the same ports and data."""

import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
from structlog.stdlib import BoundLogger

from magnetar.broker_security import BrokerSecurity, write_security
from magnetar.errors import StartError
from magnetar.policy.restart import History, RestartPolicy, after_death
from magnetar.processes.child import Child
from magnetar.processes.identity import Identity, read_record, write_record
from magnetar.processes.launcher import LauncherGoneError, Spawn, SpawnError
from magnetar.processes.logtail import last_lines, size_of
from magnetar.tasks import ServingTasks

_READY_DEADLINE = 30.0
_STOP_GRACE = 10.0

SpawnProcess = Callable[[Spawn], Awaitable[Child]]
"""Starts a process; raises SpawnError or LauncherGoneError."""
AdoptProcess = Callable[[Identity], Child | None]
"""Returns a process that another worker left running, None where there is no such one."""


@dataclass(frozen=True)
class BrokerAddresses:
    """Where the broker is; a later start listens on the same ports."""

    service_url: str
    admin_url: str
    port: int
    admin_port: int


@dataclass(frozen=True)
class BrokerProcessSettings:
    """What the broker process is started with; `environment` is complete.

    Without `security` it asks nobody who he is; `advertised_host` is what its clients are told, instead of an address.
    """

    data_directory: Path
    log_file: Path
    host: str
    port: int
    admin_port: int
    environment: Mapping[str, str]
    security: BrokerSecurity | None = None
    advertised_host: str | None = None

    @property
    def security_file(self) -> Path:
        """Where the broker reads whom to let in."""
        return security_file(self.data_directory)


def security_file(data_directory: Path) -> Path:
    """Return where the broker of a data directory reads whom to let in."""
    return data_directory.with_suffix(".security.json")


class EmbeddedBroker:
    """One broker process; an async context manager that has it ready when entered and ends it when left.

    Its death is told by the kernel; it is started again as `policy` says, on the ports of its first start. With `adopt` it
    goes on when the worker ends, and the next one takes it over.
    """

    def __init__(
        self,
        settings: BrokerProcessSettings,
        spawn: SpawnProcess,
        policy: RestartPolicy,
        logger: BoundLogger,
        *,
        adopt: AdoptProcess | None = None,
    ) -> None:
        self._settings = settings
        self._spawn = spawn
        self._policy = policy
        self._log = logger
        self._adopt = adopt
        self._history = History()
        self._ready_since = 0.0
        self._tasks = ServingTasks()
        self._child: Child
        self.restarts = 0
        self.addresses: BrokerAddresses

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    async def __aenter__(self) -> Self:
        changed = self._write_security()
        if not await self._go_on(changed=changed):
            await self._start(self._settings.port, self._settings.admin_port)
        await self._tasks.__aenter__()
        self._tasks.group.start_soon(self._keep_running, name="embedded broker")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return await self._tasks.__aexit__(kind, error, trace)
        finally:
            if self._adopt is None:
                with anyio.CancelScope(shield=True):
                    await self._child.stop(_STOP_GRACE)

    @property
    def _record(self) -> Path:
        return self._settings.data_directory.with_suffix(".json")

    def _write_security(self) -> bool:
        file = self._settings.security_file
        try:
            return write_security(file, self._settings.security)
        except OSError as error:
            raise StartError(f"dataDirectory: {file}: {error.strerror}; make it writable") from error

    async def _go_on(self, *, changed: bool) -> bool:
        """Take over the broker that another worker left running, if it was ready; one that was not is ended.

        One whose keys have `changed` is ended, too: it would let the wrong people in.
        """
        record = read_record(self._record)
        identity = Identity.from_record(record)
        child = self._adopt(identity) if self._adopt and identity else None
        if child is None or not child.alive:
            return False
        if changed or not record.get("ready"):
            await child.stop(_STOP_GRACE)
            return False
        self._child, self._ready_since = child, time.monotonic()
        self.addresses = _addresses(json.dumps(record["ready"]).encode())
        self._log.info("The embedded broker of the worker before goes on.", pid=child.pid)
        return True

    async def _keep_running(self) -> None:
        while True:
            status = await self._child.wait()
            healthy_for = time.monotonic() - self._ready_since
            decision = after_death(
                self._policy,
                self._history,
                now=time.monotonic(),
                healthy_for=healthy_for,
                chance=random.random(),  # noqa: S311
            )
            self._history = decision.history
            self.restarts += 1
            self._log.error(
                "The embedded broker ended and is started again.",
                code=status.code,
                signal=status.signal,
                delay=round(decision.delay, 3),
                log=self._settings.log_file,
            )
            # The timer `restart`.
            await anyio.sleep(decision.delay)
            await self._try_to_start()

    async def _try_to_start(self) -> None:
        """Start it again; a start that fails leaves an ended child behind, and its death is counted like any other."""
        try:
            await self._start(self.addresses.port, self.addresses.admin_port)
        except (StartError, SpawnError, LauncherGoneError) as error:
            self._log.error("The embedded broker could not be started.", reason=str(error))

    async def _start(self, port: int, admin_port: int) -> None:
        read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        said_before = size_of(self._settings.log_file)
        try:
            try:
                self._child = await self._spawn(self._request(port, admin_port, write))
            finally:
                os.close(write)
            with anyio.move_on_after(_READY_DEADLINE):
                line = await _first_line(read)
                if line:
                    self.addresses = _addresses(line)
                    write_record(self._record, Identity.of(self._child.pid), {"ready": json.loads(line)})
                    self._ready_since = time.monotonic()
                    return
        finally:
            os.close(read)
        with anyio.CancelScope(shield=True):
            await self._child.stop(_STOP_GRACE)
        said = last_lines(self._settings.log_file, 3, since=said_before)
        raise StartError(" ".join(said) or f"the embedded broker was not ready after {_READY_DEADLINE:g} s")

    def _request(self, port: int, admin_port: int, output: int) -> Spawn:
        settings = self._settings
        os.set_blocking(output, True)
        argv = [sys.executable, "-P", "-m", "magnetar_broker", "--data-dir", str(settings.data_directory)]
        argv += ["--host", settings.host, "--port", str(port), "--admin-port", str(admin_port), "--format", "json"]
        if settings.advertised_host is not None:
            argv += ["--advertised-host", settings.advertised_host]
        if settings.security is not None:
            argv += ["--security-file", str(settings.security_file)]
        return Spawn(
            argv,
            settings.environment,
            output=str(settings.log_file),
            record=str(self._record),
            descriptors={"stdout": output},
        )


async def _first_line(descriptor: int) -> bytes:
    """Read one line; what came before the end of file when there is none."""
    text = b""
    while not text.endswith(b"\n"):
        await anyio.wait_readable(descriptor)
        try:
            chunk = os.read(descriptor, 4096)
        except BlockingIOError:
            continue
        if not chunk:
            return b""
        text += chunk
    return text


def _addresses(line: bytes) -> BrokerAddresses:
    told = json.loads(line)
    service_url, admin_url = str(told["broker"]), str(told["admin"])
    return BrokerAddresses(service_url, admin_url, _port(service_url), _port(admin_url))


def _port(url: str) -> int:
    return int(url.rpartition(":")[2])
