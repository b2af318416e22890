"""The instance's end of the socket pair to its supervisor: lines of JSON in both directions."""

import asyncio
import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

VARIABLE = "MAGNETAR_SUPERVISOR_FD"
WAITS = "MAGNETAR_WAITS"
"""An environment variable: an instance for which it is set subscribes when its supervisor says so."""

Command = dict[str, Any]
"""A line of the supervisor's; `command` is its name."""


class SupervisorLink:
    """Tells the supervisor of the instance, and hands its commands on."""

    def __init__(self, channel: socket.socket, *, waits: bool = False) -> None:
        self.waits = waits
        self._channel = channel
        self._lock = threading.Lock()

    @classmethod
    def from_environment(cls) -> "SupervisorLink | None":
        """Take the descriptor out of the environment, before user code can see it; None without one."""
        number, waits = os.environ.pop(VARIABLE, ""), os.environ.pop(WAITS, "")
        if not number.isdigit():
            return None
        os.set_inheritable(int(number), False)  # noqa: FBT003
        channel = socket.socket(fileno=int(number))
        channel.setblocking(False)  # noqa: FBT003
        return cls(channel, waits=bool(waits))

    def tell(self, event: str, fields: dict[str, object]) -> None:
        """Send an event, from any thread; dropped when the supervisor is gone or does not read."""
        line = json.dumps({"event": event, **fields}).encode() + b"\n"
        with self._lock, contextlib.suppress(OSError):
            self._channel.sendall(line)

    async def obey(self, commands: Mapping[str, Callable[[Command], None]]) -> None:
        """Carry out commands until the supervisor is gone; unknown ones belong to another version and are left alone.

        Each is given the whole line; one that can't read it raises ValueError or KeyError, and is left alone too.
        """
        reader, writer = await asyncio.open_connection(sock=self._channel.dup())
        try:
            while line := await reader.readline():
                with contextlib.suppress(ValueError, AttributeError, KeyError):
                    command = json.loads(line)
                    commands[command.get("command")](command)
        except (ConnectionError, ValueError):
            return
        finally:
            writer.close()
