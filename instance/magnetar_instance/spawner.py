"""A small single-threaded process that starts others: `python -m magnetar_instance.spawner --fd N --reaper worker`.

A request is its length (4 bytes, big-endian), to which descriptors are attached, and that much JSON; answers are lines of
JSON. `--reaper worker`: the requester is a subreaper; each child is forked twice, so that the requester becomes its parent
and reads its exit status itself. `--reaper self`: this process is the parent, reports
`{"event": "exit", "pid": n, "status": n}` and kills its children when the requester is gone. Nothing here starts a thread:
a fork copies only the thread that forks.
"""

import argparse
import array
import contextlib
import json
import os
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from magnetar_instance import spawn
from magnetar_instance.spawn import SpawnRequest

_HEAD = struct.Struct(">I")
_MAX_DESCRIPTORS = 16
_FAILED = 71


class Spawner:
    """Serves spawn requests until the requester closes its end; `work` is what a child does once it is set up."""

    def __init__(self, channel: socket.socket, work: Callable[[SpawnRequest], NoReturn], *, reaps: bool) -> None:
        self._channel = channel
        self._work = work
        self._reaps = reaps
        self._pid = os.getpid()
        self._children: set[int] = set()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> None:
        """Answer requests and report ends until end of file; then end the children that are ours."""
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        if self._reaps:
            self._become_subreaper()
        self._send({"event": "ready", "pid": os.getpid()})
        while True:
            ready, _, _ = select.select([self._channel.fileno(), self._wake_read], [], [])
            if self._wake_read in ready:
                self._reap()
            if self._channel.fileno() in ready and not self._serve_one():
                break
        self._end_children()

    def _serve_one(self) -> bool:
        text, received = _receive(self._channel)
        if not text:
            return False
        number: object = None
        try:
            request = SpawnRequest.from_json(text, received)
            number = request.id
            self._send({"id": number, "pid": self._start(request)})
        except (ValueError, TypeError, OSError) as error:
            self._send({"id": number, "error": f"{type(error).__name__}: {error}"})
        finally:
            for descriptor in received:
                os.close(descriptor)
        return True

    def _start(self, request: SpawnRequest) -> int:
        if self._reaps:
            pid = self._fork(request)
            self._children.add(pid)
            return pid
        return self._fork_twice(request)

    def _fork(self, request: SpawnRequest) -> int:
        pid = os.fork()
        if pid == 0:
            self._child(request)
        return pid

    def _fork_twice(self, request: SpawnRequest) -> int:
        """Fork a middle process that forks the child and leaves: the child goes to the nearest subreaper."""
        read, write = os.pipe2(os.O_CLOEXEC)
        middle = os.fork()
        if middle == 0:
            with _leave_on_error():
                child = os.fork()
                if child == 0:
                    os.close(read)
                    os.close(write)
                    self._child(request)
                os.write(write, str(child).encode())
            os._exit(0)
        os.close(write)
        told = os.read(read, 32)
        os.close(read)
        os.waitpid(middle, 0)
        if not told:
            raise OSError("no process could be forked: the limit of processes or of memory is reached")
        return int(told)

    def _child(self, request: SpawnRequest) -> NoReturn:
        with _leave_on_error():
            signal.set_wakeup_fd(-1)
            self._channel.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
            spawn.become(replace(request, parent=self._pid) if self._reaps else request)
            self._work(request)
        os._exit(_FAILED)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 4096):
                pass
        while self._reaps:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._children:
                self._children.discard(pid)
                self._send({"event": "exit", "pid": pid, "status": status})

    def _end_children(self) -> None:
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)

    def _become_subreaper(self) -> None:
        if sys.platform == "linux":
            import ctypes  # noqa: PLC0415 - a zygote has it already, a spawner on macOS never needs it

            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)

    def _send(self, message: dict[str, object]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._channel.sendall(json.dumps(message).encode() + b"\n")


def _receive(channel: socket.socket) -> tuple[bytes, list[int]]:
    """Receive one request with its descriptors; an empty one is the end."""
    descriptors = array.array("i")
    try:
        head, ancillary, _, _ = channel.recvmsg(_HEAD.size, socket.CMSG_SPACE(_MAX_DESCRIPTORS * descriptors.itemsize))
        text = _exactly(channel, _HEAD.unpack(head)[0]) if len(head) == _HEAD.size else b""
    except ConnectionResetError:
        return b"", []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)  # noqa: FBT003
    return text, list(descriptors)


def _exactly(channel: socket.socket, size: int) -> bytes:
    parts = []
    while size > 0:
        part = channel.recv(min(size, 65536))
        if not part:
            return b""
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


class _leave_on_error(contextlib.AbstractContextManager[None]):  # noqa: N801 - reads as a function where it is used
    """Never let a forked child run on into the parent's loop: whatever goes wrong, say so and leave."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else _FAILED
        if not isinstance(error, SystemExit):
            os.write(2, f"the process could not be started: {type(error).__name__}: {error}\n".encode())
        os._exit(code)


def serve_from_arguments(arguments: list[str] | None, work: Callable[[SpawnRequest], NoReturn]) -> None:
    """Read `--fd` and `--reaper` and serve."""
    parser = argparse.ArgumentParser(description="Starts processes for a Magnetar worker; not for people.")
    parser.add_argument("--fd", type=int, required=True)
    parser.add_argument("--reaper", choices=("worker", "self"), required=True)
    parser.add_argument(
        "--die-with-parent", action="store_true", help="only where the parent's main thread starts this"
    )
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.set_inheritable(options.fd, False)  # noqa: FBT003
    if options.die_with_parent:
        spawn.die_with(os.getppid())
    with socket.socket(fileno=options.fd) as channel:
        Spawner(channel, work, reaps=options.reaper == "self").serve()


def main() -> None:
    """Serve requests for programs."""
    serve_from_arguments(None, spawn.execute)


if __name__ == "__main__":
    main()
