"""How an instance is run: the boundary between the supervision of instances and threads, processes or pods."""

import signal as signals
from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from magnetar_instance.proto.control import FunctionStatus, MetricsData
from magnetar_instance.proto.function import (
    FunctionAuthenticationSpec,
    FunctionDetails,
    FunctionMetaData,
    PackageLocationMetaData,
)

from magnetar.lifecycle import Phase


@dataclass(frozen=True)
class InstanceSpec:
    """All that a runtime needs to start one instance.

    `package` is the function's code as a file on this host (named as it was uploaded), `environment` a directory with the
    Python packages that it asks for, `auth` what is kept of its creator's credentials; `function_id` and
    `function_version` are fresh UUIDs, as Pulsar's worker sends them. `fingerprint` changes with whatever makes the instance
    another one.
    """

    details: FunctionDetails
    instance_id: int
    package: Path
    function_id: str
    function_version: str
    environment: Path | None = None
    fingerprint: str = ""
    auth: FunctionAuthenticationSpec | None = field(default=None, repr=False)

    @property
    def fqfn(self) -> str:
        """The function's name as `tenant/namespace/name`."""
        return f"{self.details.tenant}/{self.details.namespace}/{self.details.name}"

    @property
    def fqiid(self) -> str:
        """The instance's name as `tenant/namespace/name:id`, Pulsar's spelling."""
        return f"{self.fqfn}:{self.instance_id}"


@dataclass(frozen=True)
class FunctionSpec:
    """All that a runtime needs which runs a function as a whole; the pods fetch its package themselves."""

    details: FunctionDetails
    package: PackageLocationMetaData
    auth: FunctionAuthenticationSpec | None = None

    @property
    def fqfn(self) -> str:
        """The function's name as `tenant/namespace/name`."""
        return f"{self.details.tenant}/{self.details.namespace}/{self.details.name}"


def function_of(metadata: FunctionMetaData) -> FunctionSpec:
    """Return the function that metadata describe."""
    auth = metadata.functionAuthSpec if metadata.HasField("functionAuthSpec") else None
    return FunctionSpec(metadata.functionDetails, metadata.packageLocation, auth)


@dataclass(frozen=True)
class Prepared:
    """The instance has loaded its code and reached the broker, and waits to be told to subscribe."""


@dataclass(frozen=True)
class Ready:
    """The instance is subscribed to its inputs."""


@dataclass(frozen=True)
class BootFailed:
    """The instance can't run until its package or config changes: it is not retried (import error, refused config)."""

    reason: str
    traceback: tuple[str, ...] = ()


@dataclass(frozen=True)
class Progress:
    """How many messages the instance has taken in and finished since its start; told after a change."""

    received: int
    processed: int


@dataclass(frozen=True)
class Pulse:
    """A health check: `problem` says why there was no answer, and is empty when there was one."""

    problem: str = ""


Notice = Prepared | Ready | BootFailed | Progress | Pulse


@dataclass(frozen=True)
class Exit:
    """How an instance ended: a process has either `code` or `signal`, a thread that returned has neither."""

    code: int | None = None
    signal: int | None = None
    reason: str = ""
    last_lines: tuple[str, ...] = field(default=())

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise than by itself and in good order."""
        return bool(self.reason or self.signal or self.code)

    def describe(self) -> str:
        """Return one sentence for status and log."""
        if self.reason:
            return self.reason
        if self.signal is not None:
            return f"ended by signal {_signal_name(self.signal)}"
        return f"ended with exit code {self.code}" if self.code is not None else "ended"


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return str(number)


class RunningInstance(Protocol):
    """An instance that was started; it has ended once `wait` returns."""

    @property
    def pid(self) -> int | None:
        """The process id; of the worker itself for a thread."""

    @property
    def grpc_port(self) -> int | None:
        """Where the instance serves gRPC on loopback; None for a thread."""

    @property
    def metrics_port(self) -> int | None:
        """Where the instance serves its metrics on loopback; None for a thread."""

    @property
    def log_file(self) -> Path:
        """The file that the function's log records and prints go to."""

    @property
    def survives(self) -> bool:
        """Whether it goes on after this process, for another worker to adopt."""

    def notices(self) -> AsyncIterator[Notice]:
        """Yield what the instance tells of itself, until it ends. Iterated once, by its supervisor."""

    def subscribe(self) -> None:
        """Let an instance that was prepared subscribe."""

    async def let_go(self) -> None:
        """Give up what this process holds of one that survives; it is not touched."""

    async def wait(self) -> Exit:
        """Wait for the end; may be called more than once and after the end."""

    async def stop(self, grace: float) -> None:
        """End it: politely, after `grace` seconds by force; returns once it has ended or was given up."""

    def set_log_level(self, level: str, seconds: float | None) -> bool:
        """Set the level of its log, after `seconds` the one before again; tells whether it knows how."""

    def dump_stacks(self, *, is_to_end: bool = False) -> None:
        """Have the stacks of its threads written to its log; one that they would end (Go) only when it is to end."""

    async def status(self) -> FunctionStatus:
        """Ask for its status (5 s at most). Raises ConnectionError when it does not answer."""

    async def metrics(self) -> MetricsData:
        """Ask for its figures (5 s at most). Raises ConnectionError when it does not answer."""

    async def metrics_text(self) -> str:
        """Return its Prometheus text, or raise ConnectionError."""


@dataclass(frozen=True)
class Survivor:
    """An instance that another worker started and left, living or ended by now; `fingerprint` is that of what it runs."""

    instance: RunningInstance
    fingerprint: str
    runtime: str


class Runtime(Protocol):
    """Starts instances of one kind; an async context manager that ends them all when it is left, or lets them go."""

    @property
    def name(self) -> str:
        """`process`, `thread` or `kubernetes`."""

    async def start(self, spec: InstanceSpec) -> RunningInstance:
        """Start an instance. Raises RuntimeStartError when that is not possible."""

    async def prepare(self, spec: InstanceSpec) -> RunningInstance | None:
        """Start an instance that subscribes when it is told to; None where those of its language can't wait.

        Raises as `start`.
        """

    async def adopt(self, fqiid: str) -> Survivor | None:
        """Take over the instance of this name that a worker before this one left; once, at the start."""


@dataclass(frozen=True)
class InstanceReport:
    """What something else that keeps an instance alive tells of it; `started_at` is in seconds since the epoch."""

    instance_id: int
    phase: Phase
    reason: str = ""
    restarts: int = 0
    started_at: float | None = None


@dataclass(frozen=True)
class ExternalEvent:
    """What something else that keeps instances alive says happened; `time` in ISO 8601, `kind` is that of `about`."""

    time: str
    about: str
    kind: str
    reason: str
    message: str


LogLines = AsyncIterator[str]


class ExternalRuntime(Protocol):
    """Runs functions as a whole in something that keeps their instances alive itself.

    Leaving it, and this worker's end, leave everything running: the next worker that is assigned a function submits it
    again and finds its instances. A function has the one instance id -1 in assignments; its instances have 0 and above.
    """

    @property
    def name(self) -> str:
        """`kubernetes`."""

    def admit(self, spec: FunctionSpec) -> None:
        """Raise RefusedError, at create and update, for a function that could not be run here."""

    async def keep_credentials(self, spec: FunctionSpec, token: str | None) -> FunctionAuthenticationSpec | None:
        """Keep what a creator authenticated with for the instances; returns what the metadata are to hold of it."""

    async def submit(self, spec: FunctionSpec, *, restart: bool = False) -> None:
        """Make the function run as it is told here; what runs so already is left alone, unless `restart` is asked for.

        Raises RefusedError for what only another config can mend, RequestError for what may pass.
        """

    async def stop(self, spec: FunctionSpec) -> None:
        """End the instances, but keep what they need to start again. Raises as `submit`."""

    async def remove(self, spec: FunctionSpec) -> None:
        """End the instances and remove all that was made for the function. Raises as `submit`."""

    async def restart_instance(self, spec: FunctionSpec, instance_id: int) -> None:
        """Replace one instance by a new one. Raises as `submit`."""

    async def disturbed(self, spec: FunctionSpec) -> None:
        """Wait until what was submitted is not there any more as it was: it is to be submitted again."""

    def reports(self, spec: FunctionSpec) -> list[InstanceReport]:
        """Return what is known of each instance, by number; nothing is asked."""

    async def status(self, spec: FunctionSpec, instance_id: int) -> FunctionStatus:
        """Ask an instance (5 s at most). Raises ConnectionError when it does not answer."""

    async def metrics(self, spec: FunctionSpec, instance_id: int) -> MetricsData:
        """Ask an instance for its figures (5 s at most). Raises ConnectionError when it does not answer."""

    @property
    def generation(self) -> int:
        """A number that rises whenever a report may have changed."""

    async def changed(self, seen: int) -> int:
        """Wait until `generation` is above `seen`; returns it."""

    def manifests(self, spec: FunctionSpec) -> list[dict[str, object]]:
        """Return what `submit` would apply, without applying it. Raises RefusedError."""

    async def events(self, spec: FunctionSpec) -> list[ExternalEvent]:
        """Return what is told of the function's parts, oldest first. Raises RequestError."""

    def log(
        self, spec: FunctionSpec, instance_id: int, tail: int, *, follow: bool
    ) -> AbstractAsyncContextManager[LogLines]:
        """Give the last lines of an instance's log, and then, followed, each line as it comes.

        Entering or reading it raises ConnectionError when there is no log to be had.
        """

    async def sweep(self, known: Collection[str]) -> None:
        """Remove what is left of functions that were not known at the last call either, by `tenant/namespace/name`.

        For the leader, who knows all functions: the worker that had such a function may have died before its time.
        """


class RuntimeStartError(Exception):
    """Raised when an instance could not even be started; the message says why and what to do."""
