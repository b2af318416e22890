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
from magnetar.runtimes.base import BootFailed, Exit, InstanceSpec, Notice, Ready
from magnetar.runtimes.process.asking import Voice
from magnetar.runtimes.process.confinement import Confined
from magnetar.runtimes.process.java_levels import JavaLevels
from magnetar.runtimes.process.launch import Launch, Place
from magnetar.runtimes.process.normal import normal_metrics, normal_status, normal_text
from magnetar.runtimes.process.stub import InstanceStub

_READ_LINES, _READ_BYTES = 400, 256 * 1024
"""How much of what an ended instance said is looked at for its cause."""


class SendCommand(Protocol):
    """Sends a line to an instance."""

    def __call__(self, command: str, **fields: object) -> None:
        """Send a command with these fields."""


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

    def told_ready(self, launch: Launch, place: Place) -> Callable[[], bool]:
        """Return what tells whether the log has said the launch's `ready_line` since."""
        line, since = launch.ready_line, self.sizes[place.log_file]
        if line is None:
            return lambda: True
        return lambda: any(
            line.search(each) for each in last_lines(place.log_file, _READ_LINES, since=since, window=_READ_BYTES)
        )


class ProcessInstance:
    """A running instance process.

    `clean_up` is awaited once, when the process has ended; it removes what the process left behind. `send` gives a command
    to an instance of ours; others take none.
    """

    def __init__(
        self,
        spec: InstanceSpec,
        child: Child,
        launch: Launch,
        place: Place,
        before: Before,
        *,
        voice: Voice,
        stub: InstanceStub,
        scrape: Callable[[int], Awaitable[str]],
        clean_up: Callable[[], Awaitable[None]],
        send: SendCommand | None,
        survives: bool = False,
        confined: Confined | None = None,
    ) -> None:
        self._instance_id = spec.instance_id
        self.fingerprint = spec.fingerprint
        self._child = child
        self._launch = launch
        self._place = place
        self._before = before
        self._voice = voice
        self._stub = stub
        self._scrape = scrape
        self._clean_up = clean_up
        self._send = send
        self._survives = survives
        self._confined = confined
        self._killed_after: float | None = None
        self._levels = JavaLevels(launch.levels) if launch.levels else None
        self._exit: Exit | None = None
        self._final = False
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

    @property
    def survives(self) -> bool:
        """Whether it goes on after this process."""
        return self._survives

    def subscribe(self) -> None:
        """Let it subscribe, where it was prepared."""
        if self._send is not None:
            self._send("subscribe")

    async def let_go(self) -> None:
        """Close what it is asked through; its link was closed by whoever read it."""
        if self._levels is not None:
            self._levels.cancel()
        await self._stub.close()

    async def notices(self) -> AsyncIterator[Notice]:
        """Yield what the instance tells of itself, until it ends; one that can't tell why it never ran is read."""
        was_ready = False
        async for notice in self._voice.notices():
            was_ready = was_ready or isinstance(notice, Ready)
            yield notice
        if not self._launch.linked and not was_ready:
            ended = await self.wait()
            if self._final:
                yield BootFailed(ended.describe(), ended.last_lines)

    async def wait(self) -> Exit:
        """Wait for the end, and for what it left behind to be removed."""
        status = await self._child.wait()
        async with self._ending:
            if self._exit is not None:
                return self._exit
            ended = self._describe(status)
            if self._levels is not None:
                self._levels.cancel()
            with anyio.CancelScope(shield=True):
                await self._clean_up()
            self._exit = ended
            return ended

    def _describe(self, status: ExitStatus) -> Exit:
        sizes = self._before.sizes.items()
        said = (last_lines(file, _READ_LINES, since=size, window=_READ_BYTES) for file, size in sizes)
        words = self._launch.last_words(status.code, [line for part in said for line in part])
        self._final = words.final
        return Exit(status.code, status.signal, self._reason(status), words.lines)

    def _reason(self, status: ExitStatus) -> str:
        if status.signal != signal.SIGKILL:
            return ""
        if self._killed_after is not None:
            return f"did not end within {self._killed_after:g} s of being asked to, and was killed"
        if self._confined is not None and (passed := self._confined.reason()):
            return passed
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

    def set_log_level(self, level: str, seconds: float | None) -> bool:
        """Set the level of its log; tells whether it knows how."""
        if self._levels is not None:
            return self._levels.set(level, seconds)
        if self._send is None:
            return False
        self._send("log-level", level=level, seconds=seconds)
        return True

    def dump_stacks(self, *, is_to_end: bool = False) -> None:
        """Have the stacks of its threads written to its output; as `RunningInstance.dump_stacks`."""
        if is_to_end or not self._launch.stacks_end_it:
            self._child.signal(signal.SIGQUIT, alone=True)

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
