"""The socket pair between the supervisor and one Python instance of ours: lines of JSON in both directions."""

import json
import socket
from collections.abc import AsyncIterator

import anyio

from magnetar.runtimes.base import BootFailed, Notice, Ready

_LIMIT = 1 << 20
"""Bytes that a line may have; what is longer ends the reading: no instance of ours says so much."""


class SupervisorLink:
    """The supervisor's end; the instance's end is handed to the child and closed here once it was spawned."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._ours.setblocking(False)  # noqa: FBT003
        self.progress: dict[str, int] = {}

    def close_theirs(self) -> None:
        """Close the child's end here, so that its death is an end of file."""
        self.theirs.close()

    def close(self) -> None:
        """Close what is open; not while `notices` is iterated, which closes at its end."""
        self.theirs.close()
        self._ours.close()

    async def notices(self) -> AsyncIterator[Notice]:
        """Yield what the instance says of its start; progress is kept in `progress`."""
        try:
            async for line in self._lines():
                notice = self._read(line)
                if notice is not None:
                    yield notice
        finally:
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
                self.progress = {str(key): value for key, value in message.items() if isinstance(value, int)}
        return None
