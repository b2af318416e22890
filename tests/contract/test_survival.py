"""Instances that outlive their worker, and those that must not."""

import json
import os
import signal
from pathlib import Path

import psutil
import pytest
from magnetar.processes.home import LauncherHome
from magnetar.processes.identity import Identity
from standalone import Standalone, running, until
from surviving import broker_of, everything, kill, kill_and_time, surviving, tell

pytestmark = pytest.mark.timeout(3600 if "MAGNETAR_SOAK_ROUNDS" in os.environ else 300)
ROUNDS = int(os.environ.get("MAGNETAR_SOAK_ROUNDS", "0"))
"""Kills of the tests under churn; without the variable a few."""
FUNCTIONS = 4
ECHO = "def process(input):\n    return input\n"
_PATIENCE = 60.0


def create(worker: Standalone, name: str, instances: int) -> None:
    config = {"inputs": [f"{name}-in"], "output": f"{name}-out", "parallelism": instances}
    answer = worker.create(name, ECHO, config)
    assert answer.status_code == 204, answer.text


def test_instances_are_adopted_by_the_next_worker(tmp_path: Path) -> None:
    """After kill -9 and after SIGTERM: the same processes, no restart, no double, the broker too, and messages flow."""
    with surviving(tmp_path) as worker:
        create(worker, "a", 3)
        create(worker, "b", 2)
        before = {name: each["pid"] for name, each in running(worker, 5).items()}
        broker, process = worker.addresses["broker"], broker_of(worker)
        for number in (signal.SIGKILL, signal.SIGTERM):
            worker.close_clients()
            os.kill(worker.pid, number)
            worker._process.wait(_PATIENCE)
            assert len(everything(worker)) == 5
            worker.start()
            after = running(worker, 5)
            assert {name: each["pid"] for name, each in after.items()} == before
            assert not any(each["restarts"] for each in after.values())
            assert (worker.addresses["broker"], broker_of(worker)) == (broker, process)
            assert len(everything(worker)) == 5
        consumer = worker.client.subscribe("a-out", "test")
        producer = worker.client.create_producer("a-in")
        producer.send(b"still here")
        assert consumer.receive(30_000).data() == b"still here"


def test_what_ends_while_no_worker_is_there_is_told_with_its_signal(tmp_path: Path) -> None:
    """One of three is killed in between: it alone is restarted, with the reason, and the others are left alone."""
    with surviving(tmp_path) as worker:
        create(worker, "a", 3)
        before = {name: each["pid"] for name, each in running(worker, 3).items()}
        kill(worker)
        gone = Identity.of(before["public/default/a:1"])
        os.kill(gone.pid, signal.SIGKILL)
        until(lambda: not gone.alive, "the instance goes on")
        worker.start()
        after = running(worker, 3)
        assert {name for name, each in after.items() if each["pid"] != before[name]} == {"public/default/a:1"}
        assert after["public/default/a:1"]["restarts"] == 1
        events = worker.http.get("/magnetar/v1/instances/public/default/a/1/events").json()
        assert [each["event"] for each in events] == ["adopt", "end", "spawn", "ready"]
        assert "SIGKILL" in events[1]["reason"]
        # What is adopted is watched like what is started.
        os.kill(before["public/default/a:0"], signal.SIGKILL)
        until(lambda: running(worker, 3)["public/default/a:0"]["restarts"] == 1, "its death was not seen")


def test_kills_under_churn_lose_and_double_nothing(tmp_path: Path) -> None:
    """Killed while instances start, stop and are updated, the next worker comes to what is wanted, each once."""
    with surviving(tmp_path) as worker:
        broker = broker_of(worker)
        for turn in range(ROUNDS or 3):
            churn(worker, turn)
            kill(worker)
            worker.start()
            assert broker_of(worker) == broker
        count = 2 * min(ROUNDS or 3, FUNCTIONS)

        def once_each() -> bool:
            """Whether what lives is what is told; an update under way has two of one instance for a while."""
            told = {each["pid"] for each in running(worker, count).values()}
            return {each.pid for each in everything(worker)} == told

        until(once_each, "there are doubles")


def churn(worker: Standalone, turn: int) -> None:
    """Create one function and update another, and wait for neither."""
    if turn < FUNCTIONS:
        create(worker, f"f{turn}", 2)
    if turn:
        change = {"functionConfig": (None, json.dumps({"userConfig": {"turn": turn}}), "application/json")}
        answer = worker.http.put(f"/admin/v3/functions/public/default/f{(turn - 1) % FUNCTIONS}", files=change)
        assert answer.status_code == 204, answer.text


def test_without_a_next_worker_all_of_it_ends(tmp_path: Path) -> None:
    """After `surviveFor` instances, broker and guardian are gone."""
    with surviving(tmp_path, survive_for=0.5) as worker:
        create(worker, "a", 2)
        running(worker, 2)
        below = [Identity.of(each.pid) for each in psutil.Process(LauncherHome(worker.data).launcher.pid).children()]  # type: ignore[union-attr]
        assert len(below) > 2
        kill(worker)
        until(lambda: not any(each.alive for each in below), "something goes on")


def test_by_default_nothing_outlives_a_killed_worker(tmp_path: Path) -> None:
    """kill -9 while instances start and run: soon there is none left, and the next worker starts each of them once."""
    worker = Standalone(tmp_path / "data")
    worker.start()
    try:
        times = []
        for turn in range(ROUNDS or 2):
            churn(worker, turn)
            if turn % 2:
                running(worker, 2 * min(turn + 1, FUNCTIONS))
            times.append(kill_and_time(worker))
            assert not everything(worker)
            worker.start()
        tell("nothing left of worker, broker and instances", times)
        count = 2 * min(ROUNDS or 2, FUNCTIONS)
        running(worker, count)
        assert len(everything(worker)) == count
    finally:
        if worker._process.poll() is None:
            worker.stop()
