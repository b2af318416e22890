"""A small single-threaded process that starts others: `python -m magnetar_instance.spawner --fd N --reaper worker`.

A request is its length (4 bytes, big-endian), to which descriptors are attached, and that much JSON; answers are lines of
JSON. `--reaper worker`: the requester is a subreaper; each child is forked twice, so that the requester becomes its parent
and reads its exit status itself. `--reaper self`: this process is the parent and the subreaper of what its children leave
behind; it reports `{"event": "exit", "pid": n, "status": n}` for each and kills them when the requester is gone. A process
that carries `--mark` in its environment is killed then, wherever it is. Nothing here starts a thread: a fork copies only
the thread that forks. With `--spare`, a child of this process's own parent is forked ahead of its request and
waits for it: the next start costs a message.
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
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from magnetar_instance import spawn
from magnetar_instance.spawn import SpawnRequest

_HEAD = struct.Struct(">I")
_MAX_DESCRIPTORS = 16
_FAILED = 71
_PARENT_GONE = signal.SIGUSR2
_MARKER = b"MAGNETAR_INSTANCE="
_LOOKS, _LOOK_AGAIN = 10, 0.002


class Spawner:
    """Serves spawn requests until the requester closes its end; `work` is what a child does once it is set up."""

    def __init__(
        self,
        channel: socket.socket,
        work: Callable[[SpawnRequest], NoReturn],
        *,
        reaps: bool,
        mark: str = "",
        spare_for: int | None = None,
    ) -> None:
        self._channel = channel
        self._work = work
        self._reaps = reaps
        self._mark = mark
        self._pid = os.getpid()
        self._over = False
        self._spare_for = spare_for
        self._spare: _Spare | None = None
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def serve(self) -> None:
        """Answer requests and report ends until end of file, or the requester's death; then end what is left."""
        self._begin()
        self._send({"event": "ready", "pid": os.getpid()})
        self._serve_channel()
        if self._reaps:
            kill_all(children_of(self._pid))
        self._kill_marked()

    def _begin(self) -> None:
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(_PARENT_GONE, self._note_over)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        if self._reaps:
            self._become_subreaper()

    def _serve_channel(self) -> None:
        while not self._over:
            if self._spare is None and self._spare_for is not None and not self._asked():
                self._spare = self._fork_spare(self._spare_for)
            ready, _, _ = select.select([self._channel.fileno(), self._wake_read], [], [])
            if self._wake_read in ready:
                self._reap()
            if self._channel.fileno() in ready and not self._serve_one():
                break

    def _kill_marked(self) -> None:
        if self._mark:
            kill_all(marked(self._mark))

    def _asked(self) -> bool:
        """Whether a request waits: those who ask come before a spare."""
        return bool(select.select([self._channel.fileno()], [], [], 0)[0])

    def _note_over(self, *_: object) -> None:
        self._over = True

    def _serve_one(self) -> bool:
        text, received = _receive(self._channel)
        try:
            if text:
                self._answer(text, received)
            return bool(text)
        finally:
            for descriptor in received:
                os.close(descriptor)

    def _answer(self, text: bytes, received: list[int]) -> None:
        """Do what a request asks for; its descriptors are closed by the caller."""
        number: object = None
        try:
            request = SpawnRequest.from_json(text, received)
            number = request.id
            spare, self._spare = self._spare, None
            if spare is None or not spare.take(text, received, request.parent):
                self._send({"id": number, "pid": self._start(request)})
            else:
                self._send({"id": number, "pid": spare.pid})
        except (ValueError, TypeError, OSError) as error:
            self._send({"id": number, "error": f"{type(error).__name__}: {error}"})

    def _start(self, request: SpawnRequest) -> int:
        if not self._reaps:
            return self._fork_twice(lambda: self._child(request))
        pid = _fork()
        if pid == 0:
            self._child(replace(request, parent=self._pid))
        return pid

    def _fork_spare(self, parent: int) -> "_Spare | None":
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            pid = self._fork_twice(lambda: self._wait_for_request(theirs, ours, parent))
        except OSError:
            ours.close()
            self._spare_for = None
            return None
        finally:
            theirs.close()
        return _Spare(pid, ours)

    def _fork_twice(self, work: Callable[[], NoReturn]) -> int:
        """Fork a middle process that forks the child and leaves: the child goes to the nearest subreaper."""
        read, write = os.pipe2(os.O_CLOEXEC)
        middle = _fork()
        if middle == 0:
            with _leave_on_error():
                between = os.getpid()
                child = os.fork()
                if child == 0:
                    os.close(read)
                    os.close(write)
                    spawn.wait_to_be_handed_over(between)
                    work()
                os.write(write, str(child).encode())
            os._exit(0)
        os.close(write)
        told = os.read(read, 32)
        os.close(read)
        os.waitpid(middle, 0)
        if not told:
            raise OSError("no process could be forked: the limit of processes or of memory is reached")
        return int(told)

    def _wait_for_request(self, channel: socket.socket, others: socket.socket, parent: int) -> NoReturn:
        """Be the spare: wait for the one request of this process's life; without one, leave."""
        with _leave_on_error():
            others.close()
            spawn.die_with(parent)
            text, received = _receive(channel)
            channel.close()
            if text:
                self._child(SpawnRequest.from_json(text, received))
        os._exit(0)

    def _child(self, request: SpawnRequest) -> NoReturn:
        with _leave_on_error():
            signal.set_wakeup_fd(-1)
            self._channel.close()
            os.close(self._wake_read)
            os.close(self._wake_write)
            spawn.become(request)
            self._work(request)
        os._exit(_FAILED)

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while os.read(self._wake_read, 4096):
                pass
        with contextlib.suppress(ChildProcessError):
            while self._reaps and (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)):
                self._reap_one(ended.si_pid)

    def _reap_one(self, pid: int) -> None:
        """Take an ended child's status; what is left of its group is killed first, while its number is still its own."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        self._report(pid, status)

    def _report(self, pid: int, status: int) -> None:
        self._send({"event": "exit", "pid": pid, "status": status})

    def _become_subreaper(self) -> None:
        if sys.platform == "linux":
            import ctypes  # noqa: PLC0415 - a zygote has it already, a spawner on macOS never needs it

            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)

    def _send(self, message: dict[str, object]) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._channel.sendall(json.dumps(message).encode() + b"\n")


class _Spare:
    """A child that was forked ahead of its request; closed unused, it leaves."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self._channel = channel

    def take(self, text: bytes, descriptors: list[int], parent: int) -> bool:
        """Hand it a request with its descriptors; False when it is another's child or has ended."""
        with self._channel:
            if not _is_child_of(self.pid, parent):
                return False
            try:
                socket.send_fds(self._channel, [_HEAD.pack(len(text))], descriptors)
                self._channel.sendall(text)
            except OSError:
                return False
            return True


def _is_child_of(pid: int, parent: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            state, found = file.read().rpartition(")")[2].split()[:2]
    except OSError:
        return False
    return state != "Z" and int(found) == parent


def _receive(channel: socket.socket) -> tuple[bytes, list[int]]:
    """Receive one request with its descriptors; an empty one is the end."""
    descriptors = array.array("i")
    space = socket.CMSG_SPACE(_MAX_DESCRIPTORS * descriptors.itemsize)
    text = b""
    with contextlib.suppress(ConnectionResetError):
        head, ancillary, _, _ = channel.recvmsg(_HEAD.size, space)
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)  # noqa: FBT003
        text = _exactly(channel, _HEAD.unpack(head)[0]) if len(head) == _HEAD.size else b""
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


def children_of(pid: int) -> list[int]:
    """Return the children of a process with one thread, ended ones that nobody waited for included."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:  # noqa: PTH123 - this process stays small
            return [int(child) for child in file.read().split()]
    except OSError:
        return []


def environment_of(pid: int) -> bytes:
    """Return the environment that a process was started with, as the kernel keeps it; empty when it can't be had.

    In the middle of an exec a process shows none: it is looked at again, a few milliseconds at most.
    """
    for _ in range(_LOOKS):
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123 - this process stays small
                found = file.read()
            # Threads of the kernel and the dead have no environment for good, and no program either.
            if found or not os.readlink(f"/proc/{pid}/exe"):  # noqa: PTH115
                return found
        except OSError:
            return b""
        time.sleep(_LOOK_AGAIN)
    return b""


def marked(text: str) -> list[int]:
    """Return the processes whose marker begins with a text."""
    mark = _MARKER + text.encode()
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc") if sys.platform == "linux" else ()):  # noqa: PTH208
        environment = environment_of(int(name))
        if environment.startswith(mark) or b"\0" + mark in environment:
            found.append(int(name))
    return found


def kill_all(pids: list[int]) -> None:
    """Kill processes and the groups that they lead."""
    for pid in pids:
        for kill in (os.killpg, os.kill):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(pid, signal.SIGKILL)


def _fork() -> int:
    """Fork; a SIGTERM that reaches the child before it has signals of its own waits in it, and ends it then.

    A child has its parent's ways with signals at first: one that comes early would be ignored.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


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
    parser.add_argument("--fd", type=_descriptor, required=True, help="a number, or the variable that holds it")
    parser.add_argument("--reaper", choices=("worker", "self"), required=True)
    parser.add_argument(
        "--die-with-parent", action="store_true", help="only where the parent's main thread starts this"
    )
    parser.add_argument("--mark", default="")
    parser.add_argument("--spare", action="store_true")
    options = parser.parse_args(arguments)
    # A terminal's Ctrl-C and a service manager's SIGTERM go to every process: the requester decides what they mean.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    os.set_inheritable(options.fd, False)  # noqa: FBT003
    with socket.socket(fileno=options.fd) as channel:
        # Asked of the kernel: whoever composed the command may have meant a launcher that was replaced meanwhile.
        spare_for = os.getppid() if options.spare else None
        spawner = Spawner(channel, work, reaps=options.reaper == "self", mark=options.mark, spare_for=spare_for)
        if options.die_with_parent:
            spawn.die_with(os.getppid(), _PARENT_GONE)
        spawner.serve()


def _descriptor(text: str) -> int:
    return int(text) if text.isdecimal() else int(os.environ.pop(text))


def main() -> None:
    """Serve requests for programs."""
    serve_from_arguments(None, spawn.execute)


if __name__ == "__main__":
    main()
