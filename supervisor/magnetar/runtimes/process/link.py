"""The socket pair between the supervisor and one Python instance of ours: lines of JSON in both directions."""

import json
import random
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

import anyio

from magnetar.runtimes.base import BootFailed, Notice, Prepared, Progress, Pulse, Ready

_LIMIT = 1 << 20
"""Bytes that a line may have; what is longer ends the reading: no instance of ours says so much."""
_ANSWER_DEADLINE = 5.0
_COUNTS = ("received", "processed")


class SupervisorLink:
    """The supervisor's end; the instance's end is handed to the child and closed here once it was spawned.

    `ours` is the end of a link that another worker made. An idle instance that said nothing for `ping_every` seconds is
    pinged: its event loop answers, unless the whole process hangs. One that works is let be: it may hold the interpreter.
    """

    def __init__(self, ours: socket.socket | None = None, *, ping_every: float | None = None) -> None:
        self.theirs: socket.socket | None = None
        if ours is None:
            ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._ours = ours
        self._ours.setblocking(False)  # noqa: FBT003
        self._read_by_someone = False
        self._unread = b""
        self._ping_every = ping_every
        self._watched = self._working = self._pinged = self._silent = False
        self._said = b""

    @property
    def descriptor(self) -> int:
        """The supervisor's end, for a guardian to hold."""
        return self._ours.fileno()

    def close_theirs(self) -> None:
        """Close the child's end here, so that its death is an end of file."""
        if self.theirs is not None:
            self.theirs.close()

    def close(self) -> None:
        """Close both ends; whoever iterates `notices` still gets what was said before."""
        self.close_theirs()
        if not self._read_by_someone:
            self._unread += self._pending()
            self._ours.close()
            return
        with suppress(OSError):
            self._ours.shutdown(socket.SHUT_RDWR)

    async def notices(self) -> AsyncIterator[Notice]:
        """Yield what the instance says of itself, until it has ended or the link is closed."""
        self._read_by_someone = True
        try:
            async for chunk in self._chunks():
                if (pulse := self._pulse(answered=bool(chunk))) is not None:
                    yield pulse
                for notice in self._read(chunk):
                    yield notice
        finally:
            # Not emptied: where another worker goes on with the link, it reads what was not read here.
            self._read_by_someone = False
            self.close_theirs()
            self._ours.close()

    def send(self, command: str, **fields: object) -> None:
        """Send a command; an instance that has ended, or whose socket is full, does not get it."""
        try:
            self._ours.send(json.dumps({"command": command, **fields}).encode() + b"\n")
        except OSError:
            return

    def _pending(self) -> bytes:
        """Return what was said and not read, at once."""
        said = b""
        with suppress(OSError):
            while len(said) < _LIMIT and (chunk := self._ours.recv(65536)):
                said += chunk
        return said

    def watch(self) -> None:
        """Ping it from now on when it is silent: it is subscribed."""
        self._watched = self._ping_every is not None

    async def _chunks(self) -> AsyncIterator[bytes]:
        """Yield what is said; nothing is what a silence of an instance that is watched comes to."""
        buffered, self._unread = self._unread, b""
        yield buffered
        while self._ours.fileno() >= 0 and len(self._unread) < _LIMIT:
            with anyio.move_on_after(self._patience):
                await anyio.wait_readable(self._ours)
                try:
                    chunk = self._ours.recv(65536)
                except BlockingIOError:
                    continue
                except OSError:
                    return
                if not chunk:
                    return
                self._said = chunk
            said, self._said = self._said, b""
            yield said

    @property
    def _patience(self) -> float | None:
        if not self._watched or self._working or self._ping_every is None:
            return None
        return _ANSWER_DEADLINE if self._pinged else self._ping_every * random.uniform(0.9, 1.0)  # noqa: S311

    def _pulse(self, *, answered: bool) -> Pulse | None:
        """Ping an instance that is silent; returns what that tells of its health, if it is news."""
        was_pinged, was_silent = self._pinged, self._silent
        self._pinged = self._watched and not answered
        self._silent = self._pinged and was_pinged
        if self._pinged:
            self.send("ping")
        if self._silent:
            return Pulse(f"it did not answer within {_ANSWER_DEADLINE:g} s")
        return Pulse() if was_silent else None

    def _read(self, chunk: bytes) -> Iterator[Notice]:
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            notice = _notice(message) if isinstance(message, dict) else None
            if isinstance(notice, Ready):
                self.watch()
            elif isinstance(notice, Progress):
                self._working = notice.received > notice.processed
            if notice is not None:
                yield notice


def _notice(message: dict[str, Any]) -> Notice | None:
    match message.get("event"):
        case "ready":
            return Ready()
        case "prepared":
            return Prepared()
        case "failed":
            return BootFailed(str(message.get("reason")), tuple(map(str, message.get("traceback") or ())))
        case "progress":
            return Progress(*(number if isinstance(number := message.get(name), int) else 0 for name in _COUNTS))
    return None
