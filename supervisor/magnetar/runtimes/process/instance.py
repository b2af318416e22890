"""One instance as a process: what it tells, how it ended, and what has to be removed after it."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio
from magnetar_instance.proto.control import FunctionStatus, MetricsData

from magnetar.processes.child import Child
from magnetar.processes.logtail import last_lines, size_of
from magnetar.processes.memory import oom_kills
from magnetar.processes.watch import ExitStatus
from magnetar.runtimes.base import Exit, Notice
from magnetar.runtimes.process.launch import Launch, Place
from magnetar.runtimes.process.normal import normal_metrics, normal_status, normal_text
from magnetar.runtimes.process.stub import InstanceStub

_LAST_LINES = 10


class Voice(Protocol):
    """Where an instance's notices come from: its socket, or the answers to what it is asked."""

    def notices(self) -> AsyncIterator[Notice]:
        """Yield what is told, until the instance has ended."""


@dataclass(frozen=True)
class Before:
    """What was there before a start: the sizes of the files it writes to, and the kernel's count of memory kills."""

    sizes: dict[Path, int]
    oom_kills: int

    @classmethod
    def now(cls, launch: Launch, place: Place) -> "Before":
        """Take stock before a start."""
        files = dict.fromkeys((launch.output, place.log_file))
        return cls({file: size_of(file) for file in files}, oom_kills())


class ProcessInstance:
    """A running instance process.

    `clean_up` is awaited once, when the process has ended; it removes what the process left behind.
    """

    def __init__(
        self,
        instance_id: int,
        child: Child,
        launch: Launch,
        place: Place,
        before: Before,
        *,
        voice: Voice,
        stub: InstanceStub,
        scrape: Callable[[int], Awaitable[str]],
        clean_up: Callable[[], Awaitable[None]],
    ) -> None:
        self._instance_id = instance_id
        self._child = child
        self._launch = launch
        self._place = place
        self._before = before
        self._voice = voice
        self._stub = stub
        self._scrape = scrape
        self._clean_up = clean_up
        self._killed_after: float | None = None
        self._exit: Exit | None = None
        self._ending = anyio.Lock()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def grpc_port(self) -> int:
        """Where the instance serves gRPC on loopback."""
        return self._place.port

    @property
    def metrics_port(self) -> int:
        """Where the instance serves its metrics on loopback."""
        return self._place.metrics_port

    @property
    def log_file(self) -> Path:
        """The file that the function's log records and prints go to."""
        return self._place.log_file

    def notices(self) -> AsyncIterator[Notice]:
        """Yield what the instance tells of itself, until it ends."""
        return self._voice.notices()

    async def wait(self) -> Exit:
        """Wait for the end, and for what it left behind to be removed."""
        status = await self._child.wait()
        async with self._ending:
            if self._exit is not None:
                return self._exit
            ended = self._describe(status)
            with anyio.CancelScope(shield=True):
                await self._clean_up()
            self._exit = ended
            return ended

    def _describe(self, status: ExitStatus) -> Exit:
        said = (last_lines(file, _LAST_LINES, since=size) for file, size in self._before.sizes.items())
        lines = tuple(line for part in said for line in part)
        return Exit(status.code, status.signal, self._reason(status), lines)

    def _reason(self, status: ExitStatus) -> str:
        if status.signal != signal.SIGKILL:
            return ""
        if self._killed_after is not None:
            return f"did not end within {self._killed_after:g} s of being asked to, and was killed"
        if oom_kills() > self._before.oom_kills:
            return "killed by the kernel: out of memory (signal SIGKILL)"
        return ""

    async def stop(self, grace: float) -> None:
        """Send SIGTERM to its group, and after `grace` seconds SIGKILL."""
        self._child.signal(signal.SIGTERM)
        with anyio.move_on_after(grace):
            await self.wait()
        if self._exit is None and self._child.alive:
            self._killed_after = grace
            self._child.signal(signal.SIGKILL)
        await self.wait()

    def dump_stacks(self) -> None:
        """Have the stacks of its threads written to its output, if it knows how."""
        if self._launch.stack_signal is not None:
            self._child.signal(self._launch.stack_signal, alone=True)

    async def status(self) -> FunctionStatus:
        """Ask for its status, or raise ConnectionError."""
        status = await self._stub.status()
        return status if self._launch.linked else normal_status(status, self._instance_id)

    async def metrics(self) -> MetricsData:
        """Ask for its figures, or raise ConnectionError."""
        metrics = await self._stub.metrics()
        return metrics if self._launch.linked else normal_metrics(metrics)

    async def metrics_text(self) -> str:
        """Fetch its Prometheus text, or raise ConnectionError."""
        text = await self._scrape(self._place.metrics_port)
        return text if self._launch.linked else normal_text(text, self._instance_id)
