"""A `magnetar standalone` whose instances survive it, for tests that kill it."""

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from magnetar.processes.home import LauncherHome
from magnetar.processes.identity import Identity
from magnetar.runtimes.process.start import recorded
from standalone import Standalone, until


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
