"""A launcher that outlives its worker and keeps the instances for the next one: `python -m magnetar_instance.guardian`.

It is a daemon of its own session, the parent of everything that it starts, and has no more than one worker at a time: the
first on the descriptor that it was given, each later one on the socket `guardian.sock` of its directory. To a worker that
comes it tells what lives and how the rest ended. It holds the workers' ends of the instances' links, so that none of them
notices that a worker is gone. When none has come for `--survive` seconds it ends them all, politely, and leaves; so it does
at SIGTERM. Beside the spawner's requests it takes `{"op": ..., "id": n}`:

hold, with a descriptor: keep it under `key`; fetch: give a copy of it; release: let go of it;
terms: `survive` and `grace` are new; end: end everything now.
"""

import argparse
import contextlib
import json
import os
import select
import signal
import socket
import struct
import time

from magnetar_instance import spawn
from magnetar_instance.spawn import SpawnRequest
from magnetar_instance.spawner import Spawner, children_of, kill_all

SOCKET = "guardian.sock"
_KEPT_EXITS = 4096
_KILL_DEADLINE = 5.0
_LOOK = 0.1
_CREDENTIALS = struct.Struct("3i")


class Guardian(Spawner):
    """Serves one worker after the other; `survive` and `grace` are in seconds."""

    def __init__(
        self, channel: socket.socket, listener: socket.socket, *, mark: str, survive: float, grace: float
    ) -> None:
        super().__init__(channel, spawn.execute, reaps=True, mark=mark)
        self._listener = listener
        self._survive = survive
        self._grace = grace
        self._connected = False
        self._ended: dict[int, int] = {}
        self._held: dict[str, int] = {}

    def serve(self) -> None:
        """Serve workers until none has come for too long, or the end was asked for; then end what is left."""
        self._begin()
        signal.signal(signal.SIGTERM, self._note_over)
        channel: socket.socket | None = self._channel
        while channel is not None:
            with channel:
                self._channel = channel
                self._greet()
                self._serve_channel()
                self._connected = False
            channel = self._next_worker()
        self._listener.close()
        self._end_children()
        self._kill_marked()

    def _greet(self) -> None:
        """Tell a worker what there is; from then on it is told of each end."""
        self._reap()
        living = children_of(self._pid)
        exits = [[pid, status] for pid, status in self._ended.items() if pid not in living]
        identity = {"pid": self._pid, "startTime": spawn.start_time(), "bootId": spawn.boot_id(), "mark": self._mark}
        self._connected = True
        self._send({"event": "ready", **identity, "children": living, "exits": exits, "held": list(self._held)})

    def _next_worker(self) -> socket.socket | None:
        deadline = time.monotonic() + self._survive
        while not self._over and (left := deadline - time.monotonic()) > 0:
            ready, _, _ = select.select([self._listener.fileno(), self._wake_read], [], [], left)
            if self._wake_read in ready:
                self._reap()
            if self._listener.fileno() in ready and (channel := self._accept()) is not None:
                return channel
        return None

    def _accept(self) -> socket.socket | None:
        """Take a connection of this user's, or of the superuser's."""
        channel, _ = self._listener.accept()
        credentials = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(credentials)[1] in {os.getuid(), 0}:
            return channel
        channel.close()
        return None

    def _start(self, request: SpawnRequest) -> int:
        pid = super()._start(request)
        self._ended.pop(pid, None)
        return pid

    def _report(self, pid: int, status: int) -> None:
        """Keep an end as well: the worker that it is told to may not live to read it."""
        self._ended.pop(pid, None)
        self._ended[pid] = status
        if len(self._ended) > _KEPT_EXITS:
            del self._ended[next(iter(self._ended))]
        if self._connected:
            super()._report(pid, status)

    def _answer(self, text: bytes, received: list[int]) -> None:
        if not text.startswith(b'{"op":'):
            super()._answer(text, received)
            return
        request = json.loads(text)
        match request:
            case {"op": "hold", "key": str(key)} if received:
                self._release(key)
                self._held[key] = os.dup(received[0])
            case {"op": "release", "key": str(key)}:
                self._release(key)
            case {"op": "fetch", "key": str(key)} if key in self._held:
                self._send_descriptor({"id": request["id"], "fds": 1}, self._held[key])
                return
            case {"op": "terms", "survive": float(survive) | int(survive), "grace": float(grace) | int(grace)}:
                self._survive, self._grace = survive, grace
            case {"op": "end"}:
                self._over = True
            case _:
                self._send({"id": request.get("id"), "error": "there is nothing of this name"})
                return
        self._send({"id": request["id"], "pid": 0})

    def _release(self, key: str) -> None:
        held = self._held.pop(key, None)
        if held is not None:
            os.close(held)

    def _send_descriptor(self, message: dict[str, object], descriptor: int) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self._channel, [json.dumps(message).encode() + b"\n"], [descriptor])

    def _end_children(self) -> None:
        """Ask everything to end, make it after the grace, and wait until it has: who sees this end may start anew."""
        for pid in children_of(self._pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGTERM)
        self._wait_for_children(self._grace)
        deadline = time.monotonic() + _KILL_DEADLINE
        while (left := children_of(self._pid)) and time.monotonic() < deadline:
            kill_all(left)
            self._wait_for_children(_LOOK)

    def _wait_for_children(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while children_of(self._pid) and (left := deadline - time.monotonic()) > 0:
            select.select([self._wake_read], [], [], left)
            self._reap()


def _listen(directory: int) -> socket.socket:
    """Listen on the socket of a directory; a path through its descriptor may be of any length."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(SOCKET, dir_fd=directory)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(f"/proc/self/fd/{directory}/{SOCKET}")
    finally:
        os.umask(mask)
    listener.listen(4)
    return listener


def main() -> None:
    """Become a daemon and guard."""
    parser = argparse.ArgumentParser(description="Keeps the instances of a Magnetar worker; not for people.")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--directory", required=True)
    parser.add_argument("--survive", type=float, required=True)
    parser.add_argument("--grace", type=float, required=True)
    parser.add_argument("--mark", required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.fork():
        os._exit(0)
    os.setsid()
    os.set_inheritable(options.fd, False)  # noqa: FBT003
    directory = os.open(options.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    listener = _listen(directory)
    channel = socket.socket(fileno=options.fd)
    Guardian(channel, listener, mark=options.mark, survive=options.survive, grace=options.grace).serve()
    with contextlib.suppress(FileNotFoundError):
        os.unlink(SOCKET, dir_fd=directory)


if __name__ == "__main__":
    main()
