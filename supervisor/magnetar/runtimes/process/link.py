"""The socket pair between the supervisor and one Python instance of ours: lines of JSON in both directions."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import anyio

from magnetar.runtimes.base import BootFailed, Notice, Prepared, Progress, Ready

_LIMIT = 1 << 20
"""Bytes that a line may have; what is longer ends the reading: no instance of ours says so much."""
_COUNTS = ("received", "processed")


class SupervisorLink:
    """The supervisor's end; the instance's end is handed to the child and closed here once it was spawned.

    `ours` is the end of a link that another worker made.
    """

    def __init__(self, ours: socket.socket | None = None) -> None:
        self.theirs: socket.socket | None = None
        if ours is None:
            ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._ours = ours
        self._ours.setblocking(False)  # noqa: FBT003
        self._read_by_someone = False
        self._unread = b""

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
            async for line in self._lines():
                notice = self._read(line)
                if notice is not None:
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

    async def _lines(self) -> AsyncIterator[bytes]:
        *lines, buffer = self._unread.split(b"\n")
        for line in lines:
            yield line
        while self._ours.fileno() >= 0 and len(buffer) < _LIMIT:
            await anyio.wait_readable(self._ours)
            try:
                chunk = self._ours.recv(65536)
            except BlockingIOError:
                continue
            except OSError:
                return
            if not chunk:
                return
            *lines, buffer = (buffer + chunk).split(b"\n")
            for line in lines:
                yield line

    def _read(self, line: bytes) -> Notice | None:
        try:
            message = json.loads(line)
        except ValueError:
            return None
        return _notice(message) if isinstance(message, dict) else None


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
