"""Updates of functions that work: nothing lost, order kept, one instance after the other, and a way back."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pulsar
import pytest
from standalone import Standalone, running, standalone, until

pytestmark = pytest.mark.timeout(300)
CODE = """
from pulsar import Function
class F(Function):
    def process(self, input, context):
        return f"{context.get_partition_key()} {input} VERSION"
"""
KEYS = 7


def function(version: int | str) -> str:
    return CODE.replace("VERSION", str(version))


@contextmanager
def numbered(client: pulsar.Client, topic: str) -> Iterator[list[int]]:
    """Send numbers with keys until the context is left; the list has the one that was sent last."""
    last, over = [0], threading.Event()
    producer = client.create_producer(topic, batching_enabled=False)

    def send() -> None:
        while not over.wait(0.002):
            producer.send(str(last[0] + 1).encode(), partition_key=f"k{(last[0] + 1) % KEYS}")
            last[0] += 1

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield last
    finally:
        over.set()
        thread.join()
        producer.close()


def heard(consumer: pulsar.Consumer, last: int) -> dict[int, str]:
    """Return the version that each number came out with first; a key's numbers must come in order."""
    found: dict[int, str] = {}
    newest: dict[str, int] = {}
    while len(found) < last:
        message = consumer.receive(60_000)
        consumer.acknowledge(message)
        key, number, version = message.data().decode().split()
        if int(number) not in found:
            assert newest.get(key, 0) < int(number), f"{key}: {number} came after {newest[key]}"
            newest[key] = int(number)
            found[int(number)] = version
    return found


def pids(worker: Standalone, count: int) -> dict[str, Any]:
    return {name: each["pid"] for name, each in running(worker, count).items()}


def until_updated(worker: Standalone, before: dict[str, Any]) -> dict[str, Any]:
    """Wait until each instance is another one."""

    def look() -> dict[str, Any] | None:
        now = pids(worker, len(before))
        return now if not set(now.values()) & set(before.values()) else None

    return dict(until(look, "the update is not made"))


@pytest.mark.parametrize(
    "order", [{"retainOrdering": True}, {"retainKeyOrdering": True}], ids=["failover", "key order"]
)
def test_updates_under_load_lose_nothing_and_keep_the_order(tmp_path: Path, order: dict[str, bool]) -> None:
    """Numbered messages through two updates and one that fails: each comes out, a key's in order."""
    with standalone(tmp_path / "data") as worker:
        config = {"inputs": ["f-in"], "output": "f-out", "className": "function.F", "parallelism": 2, **order}
        answer = worker.create("f", function(0), config)
        assert answer.status_code == 204, answer.text
        now = pids(worker, 2)
        consumer = worker.client.subscribe("f-out", "test")
        with numbered(worker.client, "f-in") as last:
            for version in (1, 2):
                worker.update("f", {}, "function.py", function(version).encode())
                now = until_updated(worker, now)
            worker.update("f", {}, "function.py", ("import nowhere_at_all\n" + function(3)).encode())
            until(
                lambda: all("could not be made" in (each["reason"] or "") for each in worker.instances()),
                "nothing is said of the failure",
            )
            assert pids(worker, 2) == now
            said = worker.http.get("/admin/v3/functions/public/default/f/status").json()
            assert all("nowhere_at_all" in each["status"]["error"] for each in said["instances"])
            assert said["numRunning"] == 2
        found = heard(consumer, last[0])
        assert found[last[0]] == "2"
        assert set(found.values()) <= {"0", "1", "2"}


def test_another_number_and_a_stop_touch_no_other_instance(tmp_path: Path) -> None:
    """More and fewer instances, and the stop and start of one, leave the others' processes alone."""
    with standalone(tmp_path / "data") as worker:
        config = {"inputs": ["f-in"], "output": "f-out", "className": "function.F", "parallelism": 2}
        assert worker.create("f", function(0), config).status_code == 204
        first = pids(worker, 2)
        for count in (3, 2):
            change = {"functionConfig": (None, json.dumps({"parallelism": count}), "application/json")}
            answer = worker.http.put("/admin/v3/functions/public/default/f", files=change)
            assert answer.status_code == 204, answer.text
            assert first.items() <= pids(worker, count).items()
        for verb in ("stop", "start"):
            assert worker.http.post(f"/admin/v3/functions/public/default/f/1/{verb}").status_code == 204
            phase = {"stop": "stopped", "start": "running"}[verb]
            until(lambda: {each["phase"] for each in worker.instances()} == {"running", phase}, verb)  # noqa: B023
        after = pids(worker, 2)
        assert after["public/default/f:0"] == first["public/default/f:0"]
        assert after["public/default/f:1"] != first["public/default/f:1"]
