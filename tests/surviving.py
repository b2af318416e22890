"""A `magnetar standalone` whose instances survive it, for tests that kill it."""

import json
import os
import select
import signal
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from magnetar.processes.home import LauncherHome
from magnetar.processes.identity import Identity, read_record
from magnetar.runtimes.process.start import recorded
from magnetar_instance.spawner import marked
from standalone import DEADLINE, Standalone, until


@contextmanager
def surviving(folder: Path, *, survive_for: float = 120, keys: Mapping[str, Any] | None = None) -> Iterator[Standalone]:
    """A worker with instances that survive it and more `keys`, and a guardian that is ended with the test."""
    config = folder / "functions_worker.yml"
    own = {"instanceSurvivesWorker": True, "surviveFor": survive_for, "stopGrace": 5}
    config.write_text(json.dumps({**(keys or {}), "magnetar": own}))
    worker = Standalone(folder / "data", "--config", str(config))
    worker.start()
    try:
        yield worker
    finally:
        kill(worker)
        guardian = LauncherHome(worker.data).launcher
        below = everything(worker)
        if guardian is not None and guardian.alive:
            os.kill(guardian.pid, signal.SIGTERM)
            until(lambda: not guardian.alive, "the guardian goes on")
        assert not [each for each in below if each.alive]


def kill(worker: Standalone) -> None:
    worker.close_clients()
    worker._process.kill()
    worker._process.wait()
    assert worker._process.stdout is not None
    worker._process.stdout.close()


def everything(worker: Standalone) -> list[Identity]:
    """Return the processes of all instances that live."""
    found = [each.identity for each in recorded(worker.data / "instances")]
    return [each for each in found if each.alive]


def kill_and_time(worker: Standalone) -> float:
    """Kill a worker with all that is to end with it; returns the seconds until the last process had ended.

    What was being started at that moment, and is not below the worker yet, is found by its mark.
    """
    mark = LauncherHome(worker.data).mark
    below = {each.pid: os.pidfd_open(each.pid) for each in worker.children() if psutil.pid_exists(each.pid)}
    begun = time.monotonic()
    os.kill(worker.pid, signal.SIGKILL)
    left = set(below.values())
    while left and time.monotonic() - begun < DEADLINE:
        left -= set(select.select(list(left), [], [], 1)[0])
    passed = time.monotonic() - begun
    for pidfd in below.values():
        os.close(pidfd)
    assert not left, f"{len(left)} of {len(below)} processes go on"
    late = marked(mark)
    until(lambda: not marked(mark), "what was being started goes on")
    if late:
        passed = time.monotonic() - begun
    kill(worker)
    return passed


def tell(what: str, times: list[float]) -> None:
    """Print a figure of a soak."""
    told = f"{statistics.median(times) * 1000:.0f} ms at the median, {max(times) * 1000:.0f} ms at the most"
    print(f"{what}: {told} of {len(times)} kills")


def broker_of(worker: Standalone) -> Identity | None:
    """Return the process of a worker's own broker."""
    return Identity.from_record(read_record(worker.data / "broker.json"))
