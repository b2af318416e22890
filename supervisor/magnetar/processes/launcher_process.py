"""The process behind a launcher: one that ends with this worker, or a guardian that outlives it."""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Protocol

import anyio

from magnetar.processes.channel import SpawnChannel
from magnetar.processes.home import LauncherHome, Survival
from magnetar.processes.identity import Identity
from magnetar.processes.watch import until_ended

_END_GRACE = 3.0
_HEAD = struct.Struct(">I")
CLEAN_NAMES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
"""What launchers and zygotes keep of an environment: no secret is in it."""


class LauncherProcess(Protocol):
    """A process that starts others."""

    @property
    def pid(self) -> int:
        """The process id."""

    async def ended(self) -> None:
        """Wait for its end, and make it after a grace."""


class OwnProcess:
    """A launcher that is this process's child."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def ended(self) -> None:
        """Wait for its end, and make it after a grace."""
        pidfd = os.pidfd_open(self._process.pid)
        try:
            with anyio.move_on_after(_END_GRACE):
                await until_ended(pidfd)
            self._process.kill()
            await until_ended(pidfd)
        finally:
            os.close(pidfd)
        self._process.wait()


class Guardian:
    """A launcher that is nobody's child; `starter` is the process that became it, when this worker started it."""

    def __init__(
        self, channel: SpawnChannel, home: LauncherHome | None, starter: subprocess.Popen[bytes] | None = None
    ) -> None:
        self._channel = channel
        self._home = home
        self._starter = starter

    @property
    def pid(self) -> int:
        """The process id, 0 until it has told."""
        return self._channel.greeting.pid

    async def ended(self) -> None:
        """Wait for its end, and make it after a grace."""
        if self._starter is not None:
            self._starter.wait()  # which ended as soon as it had become a daemon, or could not
        told = self._channel.greeting
        known = self._home.launcher if self._home else None
        identity = Identity(told.pid, told.start_time, told.boot_id) if told.pid else known
        if identity is not None:
            await identity.end(_END_GRACE)


def start_launcher(channel: SpawnChannel, mark: str, *, reaps: bool) -> OwnProcess:
    """Start a launcher, which is the parent of what it starts where it `reaps`."""
    number = channel.their_descriptor
    command = [sys.executable, "-P", "-m", "magnetar_instance.spawner", "--fd", str(number)]
    command += ["--reaper", "self" if reaps else "worker", "--mark", mark]
    # The parent-death signal comes when the forking thread ends: only the main thread lives as long as the process.
    if threading.current_thread() is threading.main_thread():
        command.append("--die-with-parent")
    return OwnProcess(
        subprocess.Popen(command, pass_fds=[number], env=_environment(), stdin=subprocess.DEVNULL, stdout=2)
    )


def start_guardian(channel: SpawnChannel, home: LauncherHome, survival: Survival, mark: str) -> Guardian:
    """Start a guardian of a worker's directory; nothing that it holds is this process's, not even standard error."""
    number = channel.their_descriptor
    command = [sys.executable, "-P", "-m", "magnetar_instance.guardian", "--fd", str(number), "--mark", mark]
    command += ["--directory", str(home.directory)]
    command += ["--survive", str(survival.survive_for), "--grace", str(survival.grace)]
    with home.log_file.open("ab") as log:
        starter = subprocess.Popen(
            command, pass_fds=[number], env=_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    return Guardian(channel, home, starter)


def ask_to_end(connection: socket.socket) -> None:
    """Ask a guardian to end everything now. The connection must stay open until it has: its end would be an answer too."""
    request = json.dumps({"op": "end", "id": 0}).encode()
    with suppress(OSError):
        connection.sendall(_HEAD.pack(len(request)) + request)


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in CLEAN_NAMES if name in os.environ}
