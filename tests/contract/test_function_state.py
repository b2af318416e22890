"""State of functions through the whole server: kept by functions, read and written by REST and the command line."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pulsar
import pytest
from standalone import Standalone, standalone

BASE = "/admin/v3/functions/public/default"
MAGNETAR = str(Path(sys.executable).parent / "magnetar")
COUNTS = """\
class Counts:
    def process(self, input, context):
        context.incr_counter("seen", 1)
        context.put_state("last", input)
        return str(context.get_counter("seen"))
"""


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with standalone(tmp_path_factory.mktemp("state") / "data") as made:
        yield made


def create(worker: Standalone, name: str, runtime: str = "process", **more: Any) -> None:
    config = {
        "className": "function.Counts",
        "inputs": [f"{name}-in"],
        "output": f"{name}-out",
        "customRuntimeOptions": json.dumps({"magnetar": {"runtime": runtime}}),
        **more,
    }
    answer = worker.create(name, COUNTS, config)
    assert answer.status_code == 204, answer.text


def outputs(worker: Standalone, name: str) -> pulsar.Consumer:
    return worker.client.subscribe(f"{name}-out", "test", initial_position=pulsar.InitialPosition.Earliest)


def state(worker: Standalone, name: str, key: str) -> Any:
    return worker.http.get(f"{BASE}/{name}/state/{key}").raise_for_status().json()


@pytest.mark.parametrize("runtime", ["process", "thread"])
def test_what_a_function_keeps_is_read_from_outside(worker: Standalone, runtime: str) -> None:
    """Counters are numbers, values text, each with the version of its key; the same in a process and in a thread."""
    create(worker, runtime, runtime)
    consumer = outputs(worker, runtime)
    producer = worker.client.create_producer(f"{runtime}-in")
    for number in range(3):
        producer.send(f"v{number}".encode())
    assert [consumer.receive(30_000).data() for _ in range(3)] == [b"1", b"2", b"3"]
    assert state(worker, runtime, "seen") == {"key": "seen", "numberValue": 3, "version": 2}
    assert state(worker, runtime, "last") == {"key": "last", "stringValue": "v2", "version": 2}


def test_instances_count_together_and_a_kill_loses_nothing(worker: Standalone) -> None:
    """Two instances add to one counter; one is killed and started again, and the count goes on where it was."""
    create(worker, "killed", parallelism=2)
    consumer = outputs(worker, "killed")
    producer = worker.client.create_producer("killed-in")
    for number in range(50):
        producer.send(f"v{number}".encode())
    for _ in range(50):
        consumer.receive(30_000)
    assert state(worker, "killed", "seen")["numberValue"] == 50
    victim = worker.http.get("/magnetar/v1/instances/public/default/killed/0").json()["pid"]
    process = psutil.Process(victim)
    os.kill(victim, signal.SIGKILL)
    psutil.wait_procs([process], timeout=30)
    for number in range(50):
        producer.send(f"v{number}".encode())
    while state(worker, "killed", "seen")["numberValue"] < 100:
        consumer.receive(30_000)


def put(worker: Standalone, name: str, key: str, value: object) -> Any:
    text = value if isinstance(value, str) else json.dumps(value)
    return worker.http.post(f"{BASE}/{name}/state/{key}", files={"state": (None, text, "application/json")})


def test_what_is_written_from_outside_is_the_functions(worker: Standalone) -> None:
    """Text, bytes and numbers, by Pulsar's rules; a counter that was set is counted on from there."""
    create(worker, "put")
    for given, shown in (
        ({"stringValue": "é"}, {"stringValue": "é"}),
        ({"byteValue": "/w=="}, {"byteValue": "/w=="}),
        ({"byteValue": "YQ==", "stringValue": "b", "numberValue": 7}, {"stringValue": "a"}),
        ({"stringValue": "8 bytes!"}, {"stringValue": "8 bytes!"}),
        ({"numberValue": -7}, {"numberValue": -7}),
    ):
        assert put(worker, "put", "k", {"key": "k", **given}).status_code == 204
        found = state(worker, "put", "k")
        del found["key"], found["version"]
        assert found == shown
    assert put(worker, "put", "seen", {"key": "seen", "numberValue": 41}).status_code == 204
    consumer = outputs(worker, "put")
    worker.client.create_producer("put-in").send(b"x")
    assert consumer.receive(30_000).data() == b"42"


@pytest.mark.parametrize(
    ("key", "given", "named"),
    [
        ("other", {"key": "k", "stringValue": "v"}, "Path key doesn't match key in json"),
        ("k", {"key": "k"}, "state has no value"),
        ("k", {"stringValue": "v"}, "no JSON object with a key"),
        ("k", {"key": "k", "byteValue": "?"}, "no Base64"),
        ("k", {"key": "k", "numberValue": 1 << 63}, "64 bits"),
        ("k", {"key": "k", "stringValue": 1}, "no text"),
        ("k", "{", "no JSON"),
    ],
)
def test_what_is_no_state_is_refused_by_name(worker: Standalone, key: str, given: object, named: str) -> None:
    """Nothing is kept of it."""
    if worker.http.get(f"{BASE}/refuse").status_code == 404:
        create(worker, "refuse")
    answer = put(worker, "refuse", key, given)
    assert (answer.status_code, named in answer.json()["reason"]) == (400, True), answer.text
    assert worker.http.get(f"{BASE}/refuse/state/{key}").status_code == 404


def test_state_goes_with_its_function(worker: Standalone) -> None:
    """As in Pulsar: a function of the same name begins with nothing."""
    create(worker, "gone")
    consumer = outputs(worker, "gone")
    producer = worker.client.create_producer("gone-in")
    producer.send(b"x")
    assert consumer.receive(30_000).data() == b"1"
    assert worker.http.delete(f"{BASE}/gone").status_code == 204
    create(worker, "gone")
    producer.send(b"y")
    assert consumer.receive(30_000).data() == b"1"


def test_the_command_line_puts_and_queries(worker: Standalone) -> None:
    """One value put and printed; watched, a key that is not there yet is waited for."""
    create(worker, "cli")
    environ = {**os.environ, "MAGNETAR_ADMIN_URL": worker.addresses["http"]}
    query = [MAGNETAR, "functions", "querystate", "--name", "cli", "--key", "k"]
    absent = subprocess.run(query, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert (absent.returncode, "key 'k' doesn't exist." in absent.stderr) == (1, True), absent.stderr
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*query, "--watch"], env=environ, **pipes) as watching:
        try:
            assert watching.stderr is not None
            assert watching.stdout is not None
            assert "doesn't exist" in watching.stderr.readline()
            value = json.dumps({"key": "k", "stringValue": "v"})
            command = [MAGNETAR, "functions", "putstate", "--name", "cli", "--state", value]
            subprocess.run(command, env=environ, capture_output=True, check=True, timeout=60)
            seen = json.JSONDecoder()
            text = ""
            while not text.rstrip().endswith("}"):
                text += watching.stdout.readline()
            assert seen.decode(text) == {"key": "k", "stringValue": "v", "version": 0}
        finally:
            watching.send_signal(signal.SIGINT)
            watching.communicate(timeout=60)
