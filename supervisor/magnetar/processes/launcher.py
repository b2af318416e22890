"""The worker's side of a launcher or zygote: asks it for processes and watches each one to its end."""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import anyio

from magnetar.processes.child import Child
from magnetar.processes.subreaper import Subreaper
from magnetar.processes.watch import ExitStatus, until_ended
from magnetar.tasks import ServingTasks

_HEAD = struct.Struct(">I")
_END_GRACE = 3.0
_CLEAN_NAMES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


class LauncherGoneError(Exception):
    """Raised when the launcher ended; the worker starts another one."""


class SpawnError(Exception):
    """Raised when a process could not be forked; the message is the launcher's."""


@dataclass(frozen=True)
class Spawn:
    """What to start: `environment` is complete; `descriptors` are handed over by the name that tells their number."""

    argv: Sequence[str]
    environment: Mapping[str, str]
    cwd: str | None = None
    output: str | None = None
    record: str | None = None
    limits: Mapping[str, int] = field(default_factory=dict)
    descriptors: Mapping[str, int] = field(default_factory=dict)


class Launcher:
    """One launcher process; an async context manager that is ready for `spawn` when entered.

    With a `subreaper` the children become this process's own; without, they are the launcher's, which reports their ends.
    """

    def __init__(self, module: str = "magnetar_instance.spawner", *, subreaper: Subreaper | None = None) -> None:
        self._module = module
        self._subreaper = subreaper
        self._channel, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._channel.setblocking(False)  # noqa: FBT003
        self._sending = anyio.Lock()
        self._answers: dict[int, _Answer] = {}
        self._children: dict[int, Child] = {}
        self._ends: dict[int, ExitStatus] = {}
        self._next = 0
        self._ready = anyio.Event()
        self._gone = anyio.Event()
        self._tasks = ServingTasks()
        self._process: subprocess.Popen[bytes]

    @property
    def known(self) -> set[int]:
        """The process ids that this launcher or its users wait for, its own included."""
        return {self._process.pid, *self._children}

    @property
    def gone(self) -> bool:
        """Whether the launcher has ended."""
        return self._gone.is_set()

    async def __aenter__(self) -> Self:
        self._process = self._start()
        await self._tasks.__aenter__()
        self._tasks.group.start_soon(self._read, name=f"answers of {self._module}")
        await self._ready.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        with anyio.CancelScope(shield=True):
            await self._end()
        return await self._tasks.__aexit__(kind, error, trace)

    def _start(self) -> "subprocess.Popen[bytes]":
        reaper = "self" if self._subreaper is None else "worker"
        command = [sys.executable, "-P", "-m", self._module, "--fd", str(self._theirs.fileno()), "--reaper", reaper]
        # The parent-death signal comes when the forking thread ends: only the main thread lives as long as the process.
        if threading.current_thread() is threading.main_thread():
            command.append("--die-with-parent")
        environment = {name: os.environ[name] for name in _CLEAN_NAMES if name in os.environ}
        with self._theirs:
            return subprocess.Popen(
                command, pass_fds=[self._theirs.fileno()], env=environment, stdin=subprocess.DEVNULL, stdout=2
            )

    async def _end(self) -> None:
        # The reading task must have let go of the descriptor before its number is given to something else.
        anyio.notify_closing(self._channel)
        await self._gone.wait()
        self._channel.close()
        pidfd = os.pidfd_open(self._process.pid)
        try:
            with anyio.move_on_after(_END_GRACE):
                await until_ended(pidfd)
            self._process.kill()
            await until_ended(pidfd)
        finally:
            os.close(pidfd)
        self._process.wait()

    async def spawn(self, wanted: Spawn) -> Child:
        """Start a process. Raises SpawnError when it can't be forked, LauncherGoneError when the launcher has ended."""
        self._next += 1
        number = self._next
        answer = self._answers[number] = _Answer()
        try:
            await self._send(self._request(number, wanted), list(wanted.descriptors.values()))
            await answer.came.wait()
        finally:
            del self._answers[number]
        if answer.pid is None:
            raise SpawnError(answer.error) if answer.error else LauncherGoneError(f"{self._module} ended")
        return self._adopt(answer.pid)

    def _request(self, number: int, wanted: Spawn) -> bytes:
        return json.dumps(
            {
                "id": number,
                "argv": list(wanted.argv),
                "env": dict(wanted.environment),
                "parent": os.getpid(),
                "cwd": wanted.cwd,
                "output": wanted.output,
                "record": wanted.record,
                "limits": dict(wanted.limits),
                "fds": list(wanted.descriptors),
            }
        ).encode()

    async def _send(self, request: bytes, descriptors: list[int]) -> None:
        async with self._sending:
            if self.gone:
                raise LauncherGoneError(f"{self._module} ended")
            try:
                await anyio.wait_writable(self._channel)
                socket.send_fds(self._channel, [_HEAD.pack(len(request))], descriptors)
                view = memoryview(request)
                while view:
                    await anyio.wait_writable(self._channel)
                    view = view[self._channel.send(view) :]
            except OSError as error:
                raise LauncherGoneError(f"{self._module} ended: {error.strerror}") from error

    def _adopt(self, pid: int) -> Child:
        """Return the child, which may have ended before anyone knew of it."""
        early = self._subreaper.early.pop(pid, None) if self._subreaper else self._ends.pop(pid, None)
        child = Child(pid, reaped_by_us=self._subreaper is not None, early=early, forget=self._forget)
        if early is None:
            self._children[pid] = child
        return child

    def _forget(self, pid: int) -> None:
        self._children.pop(pid, None)

    async def _read(self) -> None:
        buffer = b""
        while True:
            chunk = await self._chunk()
            if not chunk:
                break
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                self._take(json.loads(line))
        self._gone.set()
        self._ready.set()
        for answer in self._answers.values():
            answer.came.set()
        for child in list(self._children.values()):
            child.parent_gone()

    async def _chunk(self) -> bytes:
        try:
            await anyio.wait_readable(self._channel)
            return self._channel.recv(65536)
        except BlockingIOError:
            return await self._chunk()
        except (OSError, anyio.ClosedResourceError):
            return b""

    def _take(self, message: dict[str, object]) -> None:
        match message:
            case {"event": "ready"}:
                self._ready.set()
            case {"event": "exit", "pid": int(ended), "status": int(status)}:
                self._note_end(ended, ExitStatus.from_wait(status))
            case {"id": int(number), **rest} if number in self._answers:
                answer = self._answers[number]
                pid = rest.get("pid")
                answer.pid = pid if isinstance(pid, int) else None
                answer.error = str(rest.get("error", ""))
                answer.came.set()

    def _note_end(self, pid: int, status: ExitStatus) -> None:
        if pid in self._children:
            self._children[pid].ended(status)
        else:
            self._ends[pid] = status


@dataclass
class _Answer:
    came: anyio.Event = field(default_factory=anyio.Event)
    pid: int | None = None
    error: str = ""
