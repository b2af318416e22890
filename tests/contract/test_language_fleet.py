"""Java, Python and Go functions under one worker through many random requests: in the end everything agrees."""

import os
import random
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from mixed import command, create_in, eventually, exchange, files_below, instance_of, update_ending, wait_phase
from requirements import requires
from standalone import Standalone, standalone
from toolchains import CACHE, go_examples, java_examples, java_installation

pytestmark = [requires("java"), requires("maven"), requires("go")]

WHOLE = ({"java": 3, "python": 20, "go": 20}, 200)
SMALL = ({"java": 1, "python": 4, "go": 4}, 40)
"""How many functions of each language, and how many requests; `MAGNETAR_FLEET=whole` takes the first."""
FLEET, REQUESTS = WHOLE if os.environ.get("MAGNETAR_FLEET") == "whole" else SMALL


class Fleet:
    """What was asked of a worker, as a model of what must be: each function's ending, or None while it is stopped."""

    def __init__(self, worker: Standalone, seed: int) -> None:
        self.worker = worker
        self.seed, self.random = seed, random.Random(seed)
        self.names = [f"{language}{number}" for language, count in FLEET.items() for number in range(count)]
        self.endings: dict[str, str] = {}
        self.stopped: set[str] = set()
        self.done: list[str] = []

    def step(self) -> None:
        """Ask for one thing that the function's state allows, at random."""
        name = self.random.choice(self.names)
        if name not in self.endings:
            choices = [self.create]
        elif name in self.stopped:
            choices = [self.start, self.update, self.delete]
        else:
            choices = [self.kill, self.kill, self.update, self.stop, self.restart, self.delete]
        chosen = self.random.choice(choices)
        self.done.append(f"{chosen.__name__} {name}")
        chosen(name)

    def create(self, name: str) -> None:
        self.endings[name] = f"-{len(self.done)}"
        create_in(self.worker, name.rstrip("0123456789"), name, self.endings[name])

    def update(self, name: str) -> None:
        self.endings[name] = f"-{len(self.done)}"
        update_ending(self.worker, name, self.endings[name])

    def start(self, name: str) -> None:
        command(self.worker, name, "start")
        self.stopped.discard(name)

    def stop(self, name: str) -> None:
        command(self.worker, name, "stop")
        self.stopped.add(name)

    def restart(self, name: str) -> None:
        command(self.worker, name, "restart")

    def delete(self, name: str) -> None:
        command(self.worker, name, "")
        del self.endings[name]
        self.stopped.discard(name)

    def kill(self, name: str) -> None:
        """Kill its process, if it has one now, as the kernel does when memory ends."""
        instance = instance_of(self.worker, name)
        if instance and instance["pid"] and psutil.pid_exists(instance["pid"]):
            os.kill(instance["pid"], 9)

    @property
    def running(self) -> set[str]:
        return self.endings.keys() - self.stopped

    def agrees(self, what: Callable[[], object], wanted: object) -> None:
        eventually(
            lambda: what() == wanted,
            lambda: f"{what()}\nis not\n{wanted}\nafter {self.done}, MAGNETAR_SEED={self.seed}",
        )

    def consumers(self) -> dict[str, int]:
        """Return how many consumers each function's subscription has; no entry where there is no subscription."""
        found = {}
        for name in self.names:
            answer = self.worker.http.get(f"/admin/v2/persistent/public/default/{name}-in/stats")
            subscriptions = answer.json().get("subscriptions", {}) if answer.status_code == 200 else {}
            if subscription := subscriptions.get(f"public/default/{name}"):
                found[name] = len(subscription["consumers"])
        return found

    def consuming(self) -> dict[str, int]:
        """Return the same without those that nobody consumes: one that was stopped early may never have subscribed."""
        return {name: count for name, count in self.consumers().items() if count}

    def processes(self) -> dict[int, str]:
        """Return the command of each instance by process id: every child but the launcher, the broker and the zygote.

        What a zygote forked ahead, for the next start, has its command line and one thread, as the zygote itself.
        """
        return {each.pid: line[:100] for each in self.worker.children() if (line := _command(each))}

    def agree_on_processes(self, wanted: set[int]) -> None:
        eventually(lambda: self.processes().keys() == wanted, lambda: f"{self.processes()}\nare not\n{wanted}")


def _command(process: psutil.Process) -> str:
    """Return the command line of an instance, nothing for what serves them all or has just ended."""
    try:
        line = " ".join(process.cmdline())
        idle = "magnetar_instance.zygote" in line and process.num_threads() == 1
    except psutil.Error:
        return ""
    return "" if idle or "magnetar_instance.spawner" in line or "magnetar_broker" in line else line


@pytest.mark.timeout(3000)
def test_a_mixed_fleet_agrees_after_many_random_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """State, processes, subscriptions, files and what comes out are as they were asked for."""
    java_installation(), java_examples(), go_examples()
    monkeypatch.setenv("MAGNETAR_CACHE", str(CACHE))
    seed = int(os.environ.get("MAGNETAR_SEED") or random.randrange(2**32))
    with standalone(tmp_path / "data") as worker:
        fleet = Fleet(worker, seed)
        try:
            check(fleet, tmp_path / "data")
        finally:
            print(f"MAGNETAR_SEED={seed}: {fleet.done}\n{worker.log()}")


def check(fleet: Fleet, data: Path) -> None:
    """Ask for much at random, then compare everything with what was asked."""
    worker = fleet.worker
    for _ in range(REQUESTS):
        fleet.step()
    for name in fleet.names:
        if name not in fleet.endings:
            fleet.create(name)
    for name in sorted(fleet.running):
        wait_phase(worker, name, "running")
    for name in sorted(fleet.stopped):
        wait_phase(worker, name, "stopped")
    functions = worker.http.get("/admin/v3/functions/public/default").json()
    assert sorted(functions) == sorted(fleet.endings)
    assert {each["fqfn"].rpartition("/")[2] for each in worker.instances()} == fleet.endings.keys()
    fleet.agree_on_processes({each["pid"] for each in worker.instances() if each["pid"]})
    fleet.agrees(fleet.consuming, dict.fromkeys(fleet.running, 1))
    for name in sorted(fleet.running):
        assert set(exchange(worker, name, "x", count=1)) == {f"x{fleet.endings[name]}"}
    for name in sorted(fleet.endings):
        fleet.delete(name)
    fleet.agrees(worker.instances, [])
    fleet.agree_on_processes(set())
    fleet.agrees(fleet.consumers, {})
    fleet.agrees(lambda: files_below(data / "downloads", "**/*"), [])
    fleet.agrees(lambda: files_below(data / "instances", "*"), [])
