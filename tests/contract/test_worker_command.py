import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pulsar
import pytest
from magnetar_broker.testing import RunningBroker, running_broker
from standalone import WorkerProcess, until
from wheels import index, wheel
from workers import config, worker

ECHO = "def process(input):\n    return input\n"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[RunningBroker]:
    with running_broker(tmp_path / "broker") as made:
        yield made


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_it_runs_functions_on_a_broker_that_is_there(tmp_path: Path, broker: RunningBroker) -> None:
    """The ready line names the broker; a function runs; its log is where Pulsar's worker puts it."""
    made = worker(tmp_path, "one", broker)
    made.start()
    try:
        assert made.addresses["broker"] == broker.service_url
        assert made.create("echo", ECHO, {"inputs": ["in"], "output": "out"}).status_code == 204
        consumer = made.client.subscribe("out", "test")
        made.client.create_producer("in").send(b"x")
        assert consumer.receive(20_000).data() == b"x"
        assert (tmp_path / "logs/functions/public/default/echo/echo-0.log").is_file()
    finally:
        assert made.stop() == 0


def test_a_fleet_moves_the_instances_of_a_dead_worker(tmp_path: Path, broker: RunningBroker) -> None:
    """Two workers share the instances; after a kill -9 of one the other runs them all, also when the leader died."""
    fleet = [worker(tmp_path, name, broker) for name in ("one", "two")]
    for each in fleet:
        each.start()
    one, two = fleet
    try:
        assert one.create("echo", ECHO, {"inputs": ["in"], "output": "out", "parallelism": 4}).status_code == 204
        until_running(one, {"one": 2, "two": 2})
        one.stop(signal.SIGKILL)
        until_running(two, {"two": 4})
    finally:
        for each in fleet:
            if each._process.poll() is None:
                each.stop()


PINNED = """\
# /// script
# dependencies = ["one"]
# ///
from importlib.metadata import version


class Tell:
    def process(self, input, context):
        return f"{context.get_instance_id()} {version('one')}"
"""


@pytest.mark.timeout(180)
def test_a_fleet_installs_what_one_worker_resolved(tmp_path: Path, broker: RunningBroker) -> None:
    """The other worker, which would choose a later version by itself, runs with the same one, also after an update."""
    wheels = [wheel("one", version, {"one.py": ""}) for version in ("1.0", "2.0")]
    older, newer = index(tmp_path / "older", wheels[0]), index(tmp_path / "newer", *wheels)
    fleet = [
        worker(
            tmp_path,
            name,
            broker,
            functionRuntimeFactoryConfigs={"pythonDependencyRepository": url, "logDirectory": str(tmp_path / "logs")},
        )
        for name, url in (("one", older), ("two", newer))
    ]
    for each in fleet:
        each.start()
    try:
        config = {"className": "function.Tell", "inputs": ["in"], "output": "out", "parallelism": 2}
        assert fleet[0].create("echo", PINNED, config).status_code == 204
        consumer = fleet[0].client.subscribe("out", "test")
        producer = fleet[0].client.create_producer("in")
        until_running(fleet[0], {"one": 1, "two": 1})
        for _ in range(20):
            producer.send(b"")
        assert {consumer.receive(60_000).data() for _ in range(20)} == {b"0 1.0", b"1 1.0"}
        path = "/admin/v3/functions/public/default/echo"
        index(tmp_path / "older", wheels[1])
        parts = {"functionConfig": (None, "{}", "application/json"), "data": ("function.py", PINNED + "# changed\n")}
        assert fleet[1].http.put(path, files=parts, timeout=60).status_code == 204
        until_answered(consumer, producer, {b"0 2.0", b"1 2.0"})
        assert fleet[0].http.delete(path).status_code == 204
        packages = httpx.get(f"{broker.admin_url}/admin/v3/packages/function/public/default/echo")
        assert packages.status_code == 404, packages.text
    finally:
        for each in fleet:
            each.stop()


def until_answered(consumer: pulsar.Consumer, producer: pulsar.Producer, wanted: set[bytes]) -> None:
    """Send until the last answers are those that are wanted."""
    found: set[bytes] = set()

    def look() -> bool:
        for _ in range(10):
            producer.send(b"")
        found.clear()
        found.update(consumer.receive(60_000).data() for _ in range(10))
        return found == wanted

    until(look, f"not answered as wanted: {wanted}")


def until_running(asked: WorkerProcess, wanted: dict[str, int]) -> None:
    """Ask for the status until so many instances run on each worker."""
    path = "/admin/v3/functions/public/default/echo/status"
    counts: dict[str, int] = {}
    for _ in range(600):
        answer = asked.http.get(path)
        counts = {}
        for each in answer.json().get("instances", []):
            if each["status"]["running"]:
                counts[each["status"]["workerId"]] = counts.get(each["status"]["workerId"], 0) + 1
        if counts == wanted:
            return
    raise AssertionError(f"{counts}, not {wanted}: {asked.log()}")


def test_a_worker_that_waits_for_its_broker_lives_and_is_not_ready(tmp_path: Path) -> None:
    """Until Pulsar is there probes tell life from readiness, and REST says what is waited for."""
    http, metrics = free_port(), free_port()
    file = config(
        tmp_path, "one", f"pulsar://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}",
        workerPort=http, magnetar={"metricsPort": metrics},
    )  # fmt: skip
    made = WorkerProcess(tmp_path / "one", str(file))
    made.launch()
    try:
        probes = httpx.Client(
            base_url=f"http://127.0.0.1:{metrics}", transport=httpx.HTTPTransport(retries=8), timeout=20
        )
        with probes:
            assert probes.get("/livez").status_code == 200
            ready = probes.get("/readyz")
            assert ready.status_code == 503
            assert "coordination" in ready.json()["waitingFor"]
        answer = httpx.get(f"http://127.0.0.1:{http}/admin/v3/functions/public/default")
        assert answer.status_code == 503
        assert "coordination" in answer.json()["reason"]
    finally:
        os.kill(made.pid, signal.SIGTERM)
        assert made._process.wait(20) == 0
        assert made._process.stdout is not None
        made._process.stdout.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("workerPort: 1\n\tworkerId: x\n", "a tab"),
        ("workerPort: eighty\n", "workerPort"),
        ("magnetar: {healthPrt: 1}\n", "healthPort"),
    ],
    ids=["tab", "type", "own-block"],
)
def test_a_file_that_can_not_be_used_is_one_line_a_problem(tmp_path: Path, text: str, said: str) -> None:
    """Exit code 1 and a sentence with the line, no traceback."""
    file = tmp_path / "functions_worker.yml"
    file.write_text(text)
    command = [sys.executable, "-m", "magnetar", "worker", "-c", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, cwd=tmp_path)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "functions_worker.yml:" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_a_log_directory_that_can_not_be_written_is_told_in_status(tmp_path: Path, broker: RunningBroker) -> None:
    """The function waits with the reason in its status, and the worker goes on."""
    (tmp_path / "logs").write_text("a file stands where the directory should be")
    made = worker(tmp_path, "one", broker)
    made.start()
    try:
        made.create("echo", ECHO, {"inputs": ["in"]})
        error = ""
        for _ in range(300):
            [status] = made.http.get("/admin/v3/functions/public/default/echo/status").json()["instances"]
            error = status["status"]["error"]
            if "logs" in error:
                break
        assert "logs" in error, json.dumps(status)
        assert made.http.get("/admin/v3/functions/public/default").json() == ["echo"]
    finally:
        assert made.stop() == 0
