"""The socket pair between the supervisor and one Python instance of ours: lines of JSON in both directions."""

import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress

import anyio

from magnetar.runtimes.base import BootFailed, Notice, Progress, Ready

_LIMIT = 1 << 20
"""Bytes that a line may have; what is longer ends the reading: no instance of ours says so much."""
_COUNTS = ("received", "processed")


class SupervisorLink:
    """The supervisor's end; the instance's end is handed to the child and closed here once it was spawned."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._ours.setblocking(False)  # noqa: FBT003
        self._read_by_someone = False

    def close_theirs(self) -> None:
        """Close the child's end here, so that its death is an end of file."""
        self.theirs.close()

    def close(self) -> None:
        """Close both ends; whoever iterates `notices` still gets what was said before."""
        self.theirs.close()
        if not self._read_by_someone:
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
            self._read_by_someone = False
            self.close()

    def send(self, command: str) -> None:
        """Send a command; an instance that has ended, or whose socket is full, does not get it."""
        try:
            self._ours.send(json.dumps({"command": command}).encode() + b"\n")
        except OSError:
            return

    async def _lines(self) -> AsyncIterator[bytes]:
        buffer = b""
        while len(buffer) < _LIMIT:
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
        if not isinstance(message, dict):
            return None
        match message.get("event"):
            case "ready":
                return Ready()
            case "failed":
                return BootFailed(str(message.get("reason")), tuple(map(str, message.get("traceback") or ())))
            case "progress":
                return Progress(*(number if isinstance(number := message.get(name), int) else 0 for name in _COUNTS))
        return None
