"""The child's side of a spawn: what a forked process does between its birth and its work.

The order matters: the user is changed after all that takes the worker's rights; the parent-death signal is set last, because
a change of user clears it, and the parent is looked at once more after it, because it may have ended in between. Then the
child waits to be let go: until its owner knows its process id nothing of the request runs, so that whoever dies in a spawn
leaves no process that nobody knows.
"""

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_PARENT_DEADLINE = 5.0
_GONE = 70
_UNNAMED = {"stdout", "stderr", "gate"}
"""Descriptors that the process is not told of."""


@dataclass(frozen=True)
class SpawnRequest:
    """What to run and as what.

    `parent` is the process id that must be the parent before anything of the request runs; `descriptors` are received
    descriptors by the name of the environment variable that tells their number, where `stdout` and `stderr` stand for
    the standard streams themselves. `output` is a file that both streams are appended to where they are not given.
    `record` is a file that `facts` and what identifies the process are written to before it is let go. A byte on the
    descriptor `gate`, where there is one, lets the process go; its end of file ends the process. `group` is the file that
    a process joins a control group by. `user` is the `uid` and `gid` that it runs as, with no other group.
    """

    id: int
    argv: tuple[str, ...]
    env: Mapping[str, str]
    parent: int
    cwd: str | None = None
    output: str | None = None
    record: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    group: str | None = None
    user: Mapping[str, int] | None = None
    no_new_privileges: bool = False
    descriptors: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: bytes, received: list[int]) -> "SpawnRequest":
        """Read a request, whose `fds` names the received descriptors; raises ValueError or TypeError when it is none."""
        fields = json.loads(text)
        names = fields.pop("fds", [])
        if len(names) != len(received):
            raise ValueError(f"{len(names)} descriptors were named and {len(received)} received")
        return cls(**fields, descriptors=dict(zip(names, received, strict=True)))


def become(request: SpawnRequest) -> None:
    """Turn this freshly forked process into the one that the request asks for; only its code is left to run."""
    leave_unless_child_of(request.parent)
    os.setsid()
    _take_streams(request)
    _take_limits(request.limits)
    if request.group:
        _join(request.group)
    if request.no_new_privileges:
        forbid_new_privileges()
    _take_environment(request)
    if request.cwd:
        os.chdir(request.cwd)
    if request.record:
        _write_record(request.record, request)
    _restore_signals()
    if request.user:
        _take_user(request.user)
    die_with(request.parent)
    if "gate" in request.descriptors:
        _wait_at(request.descriptors["gate"], request.record)


def wait_to_be_handed_over(middle: int) -> None:
    """Wait until `middle` is this process's parent no more: a grandchild is handed over when the process between ends.

    The kernel tells of no change of the parent, so this looks again and again, for a moment and no longer than 5 s.
    """
    turns = int(_PARENT_DEADLINE / 0.0005)
    for _ in range(turns):
        if os.getppid() != middle:
            return
        select.select([], [], [], 0.0005)
    os._exit(_GONE)


def leave_unless_child_of(parent: int) -> None:
    """Leave at once when another one is the parent: the one that was meant has ended, and nobody knows this process."""
    if os.getppid() != parent:
        os._exit(_GONE)


def die_with(parent: int, number: int = signal.SIGKILL) -> None:
    """Ask the kernel for a signal when the parent ends, and leave at once if it has ended already (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    leave_unless_child_of(parent)


def _wait_at(gate: int, record: str | None) -> None:
    if os.read(gate, 1):
        os.close(gate)
        return
    if record:
        # Of another user by now: whoever reads the record sees that it ended.
        with contextlib.suppress(PermissionError):
            os.unlink(record)  # noqa: PTH108
    os._exit(_GONE)


def _take_streams(request: SpawnRequest) -> None:
    output = _open_output(request)
    for stream, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(request.descriptors.get(name, output), stream)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    kept = {0, 1, 2, *(number for name, number in request.descriptors.items() if name not in {"stdout", "stderr"})}
    for number in {nothing, output, *request.descriptors.values()} - kept:
        os.close(number)


def _open_output(request: SpawnRequest) -> int:
    if request.output is None:
        return os.open(os.devnull, os.O_WRONLY)
    with _with_rights_of(request.user):
        return os.open(request.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)


@contextlib.contextmanager
def _with_rights_of(user: Mapping[str, int] | None) -> Iterator[None]:
    """Open files as the user that the process will be: in a directory of theirs anything may stand, links included."""
    if user is None:
        yield
        return
    uid, gid = os.geteuid(), os.getegid()
    os.setgroups([])
    os.setegid(user["gid"])
    os.seteuid(user["uid"])
    try:
        yield
    finally:
        os.seteuid(uid)
        os.setegid(gid)


def _take_user(user: Mapping[str, int]) -> None:
    """Become another user, for good, with one group; who can't is not let go as the one it was."""
    os.setgroups([])
    os.setresgid(user["gid"], user["gid"], user["gid"])
    os.setresuid(user["uid"], user["uid"], user["uid"])
    if sys.platform == "linux":
        # A forked process shall be to its user what one that ran a program is: its /proc files are the user's.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)


def _join(members: str) -> None:
    """Join a control group; whoever can't is not let go without the limits that it was to have."""
    with open(members, "w", encoding="ascii") as file:  # noqa: PTH123
        file.write("0")


def forbid_new_privileges() -> None:
    """Let nothing that this process or a child of it executes gain rights, by set-user-id for example (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _take_limits(limits: Mapping[str, int]) -> None:
    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name.upper()}")
        resource.setrlimit(number, (value, value))


def _take_environment(request: SpawnRequest) -> None:
    os.environ.clear()
    os.environ.update(request.env)
    for name, number in request.descriptors.items():
        if name not in _UNNAMED:
            os.set_inheritable(number, True)  # noqa: FBT003
            os.environ[name] = str(number)


def _write_record(path: str, request: SpawnRequest) -> None:
    record = {**request.facts, "pid": os.getpid(), "startTime": start_time(), "bootId": boot_id()}
    partial = f"{path}.{os.getpid()}"
    with open(partial, "w", encoding="utf-8", opener=_private) as file:
        json.dump(record, file)
    os.replace(partial, path)  # noqa: PTH105


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def start_time(pid: int | None = None) -> int:
    """Return when a process (this one) started, in the kernel's ticks since boot; 0 where that is not told.

    With the process id and the boot's id it names a process for ever, however often its number is given away again.
    """
    try:
        with open(f"/proc/{pid or 'self'}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return int(file.read().rpartition(")")[2].split()[19])
    except OSError:
        return 0


def boot_id() -> str:
    """Return what tells this boot of the host from every other; empty where that is not told."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""


def _restore_signals() -> None:
    # A worker that a script runs in the background has SIGINT and SIGQUIT ignored.
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2):
        signal.signal(number, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def execute(request: SpawnRequest) -> NoReturn:
    """Replace this process by the program of the request; says on standard error why that is not possible."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and other programs would inherit that
    try:
        os.execvpe(request.argv[0], list(request.argv), dict(os.environ))  # noqa: S606
    except OSError as error:
        os.write(2, f"{request.argv[0]} could not be run: {error.strerror}\n".encode())
        os._exit(127)
