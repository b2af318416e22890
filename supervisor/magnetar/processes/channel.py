"""The worker's end of the socket to a launcher or zygote: requests for processes, and what is told of them."""

import json
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import anyio

from magnetar.host_users import Account
from magnetar.processes.child import Child
from magnetar.processes.family import Family
from magnetar.processes.watch import ExitStatus

_HEAD = struct.Struct(">I")
_MOST_DESCRIPTORS = 16


class LauncherGoneError(Exception):
    """Raised when the launcher or zygote ended; another one is started in its place."""


class SpawnError(Exception):
    """Raised when a process could not be forked; the message is the launcher's."""


@dataclass(frozen=True)
class Spawn:
    """What to start: `environment` is complete; `descriptors` are handed over by the name that tells their number.

    `output` is the file that both standard streams are appended to; `record` one that `facts` are written to, with the
    process's id, start time and boot, before the process is let go. Without a `user` it is this process's.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    cwd: str | None = None
    output: str | None = None
    record: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    group: str | None = None
    user: Account | None = None
    no_new_privileges: bool = False
    descriptors: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Greeting:
    """What the other side said of itself when it was ready; all but the process id is a guardian's alone.

    `exits` are the ends that no worker may have heard of, `children` what lives.
    """

    pid: int = 0
    start_time: int = 0
    boot_id: str = ""
    mark: str = ""
    children: frozenset[int] = frozenset()
    exits: Mapping[int, ExitStatus] = field(default_factory=dict)
    held: frozenset[str] = frozenset()

    @classmethod
    def from_json(cls, message: Mapping[str, Any]) -> Self:
        """Read the event `ready`."""
        return cls(
            int(message.get("pid", 0)),
            int(message.get("startTime", 0)),
            str(message.get("bootId", "")),
            str(message.get("mark", "")),
            frozenset(message.get("children", ())),
            {int(pid): ExitStatus.from_wait(int(status)) for pid, status in message.get("exits", ())},
            frozenset(message.get("held", ())),
        )


class SpawnChannel:
    """A socket to one launcher or zygote; `read` must run while it is used.

    `told` is called for each end that the other side reports. Without `connected` the other end is `their_descriptor`.
    """

    def __init__(
        self, name: str, told: Callable[[int, ExitStatus], None], *, connected: socket.socket | None = None
    ) -> None:
        self._name = name
        self._told = told
        self._theirs: socket.socket | None = None
        if connected is None:
            self._ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            self._ours = connected
        self._ours.setblocking(False)  # noqa: FBT003
        self._received: deque[int] = deque()
        self.greeting = Greeting()
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
        descriptors = {**wanted.descriptors, "gate": gate.entrance}
        answer = await self._answered(_request(wanted, parent, list(descriptors)), list(descriptors.values()))
        if answer.pid is None:
            raise SpawnError(answer.error) if answer.error else LauncherGoneError(f"the {self._name} ended")
        return answer.pid

    async def operate(self, operation: str, descriptor: int | None = None, **fields: object) -> int | None:
        """Ask a guardian for something else than a process; returns the descriptor that came with the answer.

        None is the answer to what it has not, and of one that has ended.
        """
        with suppress(LauncherGoneError):
            request = {"op": operation, **fields}
            answer = await self._answered(request, [] if descriptor is None else [descriptor])
            return answer.descriptor
        return None

    async def _answered(self, request: dict[str, object], descriptors: list[int]) -> "_Answer":
        self._next += 1
        number = self._next
        answer = self._answers[number] = _Answer()
        try:
            await self._send(json.dumps({**request, "id": number}).encode(), descriptors)
            await answer.came.wait()
        except BaseException:
            if answer.descriptor is not None:
                os.close(answer.descriptor)
            raise
        finally:
            del self._answers[number]
        return answer

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
            while self._received:
                os.close(self._received.popleft())

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
                chunk, descriptors, _, _ = socket.recv_fds(self._ours, 65536, _MOST_DESCRIPTORS)
            except BlockingIOError:
                continue
            except (OSError, anyio.ClosedResourceError):
                return b""
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)  # noqa: FBT003
            self._received.extend(descriptors)
            return chunk

    def _take(self, message: dict[str, object]) -> None:
        match message:
            case {"event": "ready"}:
                self.greeting = Greeting.from_json(message)
                self.ready.set()
            case {"event": "exit", "pid": int(ended), "status": int(status)}:
                self._told(ended, ExitStatus.from_wait(status))
            case {"id": int(number), **rest}:
                # In the order of the lines that tell of them, so one that nobody waits for any more is taken as well.
                descriptor = self._received.popleft() if rest.get("fds") else None
                self._hand_over(number, rest, descriptor)

    def _hand_over(self, number: int, told: Mapping[str, object], descriptor: int | None) -> None:
        answer = self._answers.get(number)
        if answer is None:
            if descriptor is not None:
                os.close(descriptor)
            return
        pid = told.get("pid")
        answer.pid = pid if isinstance(pid, int) else None
        answer.descriptor = descriptor
        answer.error = str(told.get("error", ""))
        answer.came.set()

    @property
    def their_descriptor(self) -> int:
        """The other side's end, to be handed over."""
        return self._theirs.fileno() if self._theirs is not None else -1

    def close_theirs(self) -> None:
        """Close the other side's end here, once it was handed over."""
        if self._theirs is not None:
            self._theirs.close()

    async def close(self) -> None:
        """Close this end, which ends the other side; `read` must be running, or have returned."""
        self.close_theirs()
        # Whoever waits for the descriptor must have let go of it before its number is given to something else: nobody
        # would ever wake them.
        anyio.notify_closing(self._ours)
        await self.gone.wait()
        async with self._sending:
            self._ours.close()


def _request(wanted: Spawn, parent: int, descriptors: Sequence[str]) -> dict[str, object]:
    return {
        "argv": list(wanted.argv),
        "env": dict(wanted.environment),
        "parent": parent,
        "cwd": wanted.cwd,
        "output": wanted.output,
        "record": wanted.record,
        "facts": dict(wanted.facts),
        "limits": dict(wanted.limits),
        "group": wanted.group,
        "user": {"uid": wanted.user.uid, "gid": wanted.user.gid} if wanted.user else None,
        "no_new_privileges": wanted.no_new_privileges,
        "fds": descriptors,
    }


@dataclass
class _Answer:
    came: anyio.Event = field(default_factory=anyio.Event)
    pid: int | None = None
    descriptor: int | None = None
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
