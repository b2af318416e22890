"""Updates over a fleet: one instance at a time over all workers, and a bad version is tried by one of them alone."""

import signal
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from magnetar_broker.testing import RunningBroker, running_broker
from standalone import WorkerProcess, until
from workers import workers

pytestmark = pytest.mark.timeout(300)
NAMES = ("one", "two", "three")
ECHO = "def process(input):\n    return input + 'VERSION'\n"
TRIES = """
from pathlib import Path
with Path("FILE").open("a") as file:
    file.write("tried\\n")
import nowhere_at_all
"""
FIRST_HANGS = """
import os, time
from pathlib import Path
try:
    with Path("FILE").open("x") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(3600)
except FileExistsError:
    pass
"""
Workers = Mapping[str, WorkerProcess]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    with running_broker(tmp_path / "broker") as made:
        yield made


def echo(version: int, before: str = "", file: Path = Path()) -> bytes:
    return (before.replace("FILE", str(file)) + ECHO.replace("VERSION", str(version))).encode()


def create(fleet: Workers, parallelism: int) -> None:
    order = {"inputs": ["in"], "output": "out", "parallelism": parallelism}
    answer = fleet["one"].create("echo", echo(0).decode(), order)
    assert answer.status_code == 204, answer.text


def running(fleet: Workers, count: int) -> dict[int, dict[str, Any]]:
    """Wait until so many instances run, and return them by number, each with its worker."""

    def look() -> dict[int, dict[str, Any]] | None:
        found = {each["instanceId"]: each for worker in fleet.values() for each in worker.instances()}
        fine = len(found) == count and all(each["phase"] == "running" for each in found.values())
        return found if fine else None

    return dict(until(look, f"not {count} run: {[worker.instances() for worker in fleet.values()]}"))


def pids(instances: Mapping[int, dict[str, Any]]) -> set[int]:
    return {each["pid"] for each in instances.values()}


def until_updated(fleet: Workers, before: Mapping[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Wait until every instance is another one."""

    def look() -> dict[int, dict[str, Any]] | None:
        now = running(fleet, len(before))
        return now if not pids(now) & pids(before) else None

    return dict(until(look, "the update is not made"))


def absences(fleet: Workers) -> list[tuple[float, float, int]]:
    """Return from when to when each instance was away for another, as events tell it."""
    found: list[tuple[float, float, int]] = []
    gone: dict[int, float] = {}
    for each in fleet["one"].http.get("/magnetar/v1/instances/public/default/echo/events").json():
        if each["event"] == "stop":
            gone[each["instanceId"]] = each["at"]
        elif each["event"] == "ready" and each["instanceId"] in gone:
            found.append((gone.pop(each["instanceId"]), each["at"], each["instanceId"]))
    return sorted(found)


def said(fleet: Workers) -> list[str]:
    """Return what one worker tells of why each instance is as it is."""
    status = fleet["two"].http.get("/admin/v3/functions/public/default/echo/status").json()
    return [each["status"]["error"] for each in status["instances"]]


def test_one_instance_at_a_time_over_the_fleet(tmp_path: Path, broker: RunningBroker) -> None:
    """Two updates replace six instances on three workers: no two are away at once; a bad one is tried once in all."""
    with workers(tmp_path, broker, *NAMES) as fleet:
        create(fleet, 6)
        first = running(fleet, 6)
        assert {each["worker"] for each in first.values()} == set(NAMES)
        fleet["two"].update("echo", {}, "function.py", echo(1))
        second = until_updated(fleet, first)
        away = absences(fleet)
        assert sorted(number for _, _, number in away) == list(range(6))
        assert all(earlier[1] <= later[0] for earlier, later in pairwise(away)), away

        tried = tmp_path / "tried"
        fleet["one"].update("echo", {}, "function.py", echo(2, TRIES, tried))
        until(lambda: all("could not be made" in each for each in said(fleet)), f"nothing is said: {said(fleet)}")
        assert tried.read_text() == "tried\n"
        assert pids(running(fleet, 6)) == pids(second)
        assert all("nowhere_at_all" in each for each in said(fleet))
        untried = [each for each in said(fleet) if "was not tried, for it failed with" in each]
        assert len(untried) == 5
        finders = {name for name in NAMES if any(f"on worker {name}:" in each for each in untried)}
        assert len(finders) == 1

        # A restart asks for it again, with that instance alone; a better version replaces all.
        restart = "/admin/v3/functions/public/default/echo/0/restart"
        assert fleet["three"].http.post(restart, follow_redirects=True).status_code == 204
        until(lambda: tried.read_text() == "tried\ntried\n", "it is not tried again")
        fleet["three"].update("echo", {}, "function.py", echo(3))
        until_updated(fleet, second)
        until(lambda: not any(said(fleet)), f"something is still said: {said(fleet)}")


def test_a_killed_worker_leaves_its_turn_to_the_others(tmp_path: Path, broker: RunningBroker) -> None:
    """While one worker's successor hangs no other instance is touched; after its kill -9 all get the new version."""
    with workers(tmp_path, broker, *NAMES) as fleet:
        create(fleet, 3)
        first = running(fleet, 3)
        hangs = tmp_path / "hangs"
        fleet["one"].update("echo", {}, "function.py", echo(1, FIRST_HANGS, hangs))
        until(lambda: hangs.exists() and hangs.read_text().endswith("\n"), "nobody tries the new version")
        hanging = int(hangs.read_text())
        [victim] = [name for name, each in fleet.items() if hanging in {child.pid for child in each.children()}]
        others = {name: each for name, each in fleet.items() if name != victim}
        waiting = "waits for its turn"
        until(
            lambda: all(waiting in (each["reason"] or "") for worker in others.values() for each in worker.instances()),
            f"the others do not wait: {[each.instances() for each in others.values()]}",
        )
        assert pids(running(fleet, 3)) == pids(first)
        fleet[victim].stop(signal.SIGKILL)
        assert not psutil.pid_exists(hanging)
        until_updated(others, first)
