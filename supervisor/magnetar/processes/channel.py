"""The worker's end of the socket to a launcher or zygote: requests for processes, and what is told of them."""

import json
import os
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import anyio

from magnetar.processes.child import Child
from magnetar.processes.family import Family
from magnetar.processes.watch import ExitStatus

_HEAD = struct.Struct(">I")


class LauncherGoneError(Exception):
    """Raised when the launcher or zygote ended; another one is started in its place."""


class SpawnError(Exception):
    """Raised when a process could not be forked; the message is the launcher's."""


@dataclass(frozen=True)
class Spawn:
    """What to start: `environment` is complete; `descriptors` are handed over by the name that tells their number.

    `output` is the file that both standard streams are appended to; `record` one that `facts` are written to, with the
    process's id, start time and boot, before the process is let go.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    cwd: str | None = None
    output: str | None = None
    record: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    descriptors: Mapping[str, int] = field(default_factory=dict)


class SpawnChannel:
    """A socket pair to one launcher or zygote; `read` must run while it is used.

    `told` is called for each end that the other side reports.
    """

    def __init__(self, name: str, told: Callable[[int, ExitStatus], None]) -> None:
        self._name = name
        self._told = told
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._ours.setblocking(False)  # noqa: FBT003
        self._sending = anyio.Lock()
        self._answers: dict[int, _Answer] = {}
        self._next = 0
        self.ready = anyio.Event()
        self.gone = anyio.Event()

    async def spawn(self, wanted: Spawn, *, parent: int, family: Family) -> Child:
        """Start a process. Raises SpawnError when it can't be forked, LauncherGoneError when the other side has ended.

        Until its id is known here the process waits at a gate. Whatever goes wrong before, cancellation included, closes
        the gate, and the process ends without having run anything of the request.
        """
        with _Gate() as gate, family.expecting():
            pid = await self._ask(wanted, parent, gate)
            child = family.adopt(pid)
            gate.open()
            return child

    async def _ask(self, wanted: Spawn, parent: int, gate: "_Gate") -> int:
        self._next += 1
        number = self._next
        answer = self._answers[number] = _Answer()
        descriptors = {**wanted.descriptors, "gate": gate.entrance}
        try:
            await self._send(_request(number, wanted, parent, list(descriptors)), list(descriptors.values()))
            await answer.came.wait()
        finally:
            del self._answers[number]
        if answer.pid is None:
            raise SpawnError(answer.error) if answer.error else LauncherGoneError(f"the {self._name} ended")
        return answer.pid

    async def _send(self, request: bytes, descriptors: list[int]) -> None:
        async with self._sending:
            if self.gone.is_set():
                raise LauncherGoneError(f"the {self._name} ended")
            try:
                # A request that was begun must be sent whole, or the next one would be read as its rest.
                with anyio.CancelScope(shield=True):
                    await anyio.wait_writable(self._ours)
                    socket.send_fds(self._ours, [_HEAD.pack(len(request))], descriptors)
                    await self._send_all(request)
            except (OSError, anyio.ClosedResourceError) as error:
                raise LauncherGoneError(f"the {self._name} ended: {error}") from error

    async def _send_all(self, request: bytes) -> None:
        view = memoryview(request)
        while view:
            await anyio.wait_writable(self._ours)
            view = view[self._ours.send(view) :]

    async def read(self) -> None:
        """Take what the other side says until it has ended; then nobody waits for an answer any more."""
        try:
            buffer = b""
            while chunk := await self._chunk():
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    self._take(json.loads(line))
        finally:
            self.give_up()

    def give_up(self) -> None:
        """Note that the other side has ended, or never was: who waits for an answer waits no more."""
        self.gone.set()
        self.ready.set()
        for answer in self._answers.values():
            answer.came.set()

    async def _chunk(self) -> bytes:
        while True:
            try:
                await anyio.wait_readable(self._ours)
                return self._ours.recv(65536)
            except BlockingIOError:
                continue
            except (OSError, anyio.ClosedResourceError):
                return b""

    def _take(self, message: dict[str, object]) -> None:
        match message:
            case {"event": "ready"}:
                self.ready.set()
            case {"event": "exit", "pid": int(ended), "status": int(status)}:
                self._told(ended, ExitStatus.from_wait(status))
            case {"id": int(number), **rest} if number in self._answers:
                answer = self._answers[number]
                pid = rest.get("pid")
                answer.pid = pid if isinstance(pid, int) else None
                answer.error = str(rest.get("error", ""))
                answer.came.set()

    async def close(self) -> None:
        """Close this end, which ends the other side; `read` must be running, or have returned."""
        self.theirs.close()
        # Whoever waits for the descriptor must have let go of it before its number is given to something else: nobody
        # would ever wake them.
        anyio.notify_closing(self._ours)
        await self.gone.wait()
        async with self._sending:
            self._ours.close()


def _request(number: int, wanted: Spawn, parent: int, descriptors: Sequence[str]) -> bytes:
    return json.dumps(
        {
            "id": number,
            "argv": list(wanted.argv),
            "env": dict(wanted.environment),
            "parent": parent,
            "cwd": wanted.cwd,
            "output": wanted.output,
            "record": wanted.record,
            "facts": dict(wanted.facts),
            "limits": dict(wanted.limits),
            "fds": descriptors,
        }
    ).encode()


@dataclass
class _Answer:
    came: anyio.Event = field(default_factory=anyio.Event)
    pid: int | None = None
    error: str = ""


class _Gate:
    """A pipe that a new process waits at; it is let go by a byte and ends at the end of file."""

    def __init__(self) -> None:
        self.entrance, self._exit = os.pipe2(os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def open(self) -> None:
        """Let the process go; one that has ended meanwhile is told by its end."""
        os.write(self._exit, b"1")

    def __exit__(self, *_: object) -> None:
        os.close(self.entrance)
        os.close(self._exit)
