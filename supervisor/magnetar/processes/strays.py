"""The processes that belong to a data directory, and which of them nobody keeps any more."""

import fcntl
import os
import select
import signal
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from magnetar_instance.spawner import marked

from magnetar.processes.home import LauncherHome
from magnetar.processes.identity import Identity, read_record

_GRACE = 10.0


@dataclass(frozen=True)
class Belonging:
    """A process of a data directory: an instance, a helper, or what one of them left behind."""

    identity: Identity
    name: str


@dataclass(frozen=True)
class Inventory:
    """What belongs to a data directory.

    `guardian` keeps the `kept` for a worker to come; what the running worker `owner` has is not told; the `strays` are
    nobody's.
    """

    owner: int | None
    guardian: Identity | None
    kept: tuple[Belonging, ...]
    strays: tuple[Belonging, ...]


def take_inventory(directory: Path) -> Inventory:
    """Look for the processes of a data directory: by its records, and by the marks in their environments."""
    home, owner = LauncherHome(directory), _owner(directory)
    launcher = home.launcher
    guardian = launcher if launcher is not None and launcher.alive else None
    keepers = {each for each in (owner, guardian.pid if guardian else None) if each}
    found = {each.identity: each for each in (*_marked(home.mark), *_recorded(directory)) if each.identity.alive}
    kept: list[Belonging] = []
    strays: list[Belonging] = []
    for each in found.values():
        if each.identity.pid in keepers:
            continue
        (kept if keepers & _ancestors(each.identity.pid) else strays).append(each)
    if owner is not None:
        return Inventory(owner, None, (), tuple(strays))
    return Inventory(None, guardian, tuple(kept), tuple(strays))


def end_processes(identities: list[Identity], grace: float = _GRACE) -> list[Identity]:
    """Ask processes to end, and after `grace` seconds kill them; returns those that did not end even so.

    They are addressed by descriptors that were opened before they were looked at: no other process is met.
    """
    with ExitStack() as opened:
        pidfds = {}
        for each in identities:
            if (pidfd := each.open()) is not None:
                opened.callback(os.close, pidfd)
                pidfds[pidfd] = each
        for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
            for pidfd in pidfds:
                with suppress(ProcessLookupError, PermissionError):
                    signal.pidfd_send_signal(pidfd, number)
            _wait(list(pidfds), patience)
        return [each for each in pidfds.values() if each.alive]


def _wait(pidfds: list[int], seconds: float) -> None:
    deadline, left = time.monotonic() + seconds, set(pidfds)
    while left and (rest := deadline - time.monotonic()) > 0:
        left -= set(select.select(list(left), [], [], rest)[0])


def _owner(directory: Path) -> int | None:
    """Return the process id of the worker that runs on a directory."""
    lock = directory / "worker.lock"
    try:
        with lock.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                text = file.read(32).strip()
                return int(text) if text.isdigit() else None
    except OSError:
        return None
    return None


def _recorded(directory: Path) -> list[Belonging]:
    found = []
    for path in (*(directory / "instances").glob("*.json"), directory / "broker.json"):
        record = read_record(path)
        identity = Identity.from_record(record)
        if identity is not None:
            found.append(Belonging(identity, str(record.get("instance") or "the embedded broker")))
    return found


def _marked(mark: str) -> list[Belonging]:
    return [Belonging(Identity.of(pid), "a helper, or what an instance left") for pid in marked(mark)] if mark else []


def _ancestors(pid: int) -> set[int]:
    with suppress(psutil.Error):
        return {each.pid for each in psutil.Process(pid).parents()}
    return set()
