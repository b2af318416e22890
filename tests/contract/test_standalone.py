import json
import os
import signal
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from class_files import class_file
from standalone import Standalone, standalone

EXCLAIM = "def process(input):\n    return f'{input}!'\n"
THREAD = json.dumps({"magnetar": {"runtime": "thread"}})
runtimes = pytest.mark.parametrize("options", ["", THREAD], ids=["process", "thread"])


def flow(worker: Standalone, name: str, lines: list[bytes]) -> list[bytes]:
    """Send lines to `<name>-in` and return what `<name>-out` brings, in order of arrival."""
    consumer = worker.client.subscribe(f"{name}-out", "test")
    producer = worker.client.create_producer(f"{name}-in")
    for line in lines:
        producer.send(line)
    outputs = []
    for _ in lines:
        message = consumer.receive(20_000)
        consumer.acknowledge(message)
        outputs.append(message.data())
    consumer.close()
    producer.close()
    return outputs


def exclaimer(worker: Standalone, name: str, options: str = "") -> None:
    config = {"inputs": [f"{name}-in"], "output": f"{name}-out", "customRuntimeOptions": options or None}
    answer = worker.create(name, EXCLAIM, config)
    assert answer.status_code == 204, answer.text


@runtimes
def test_a_function_runs_right_after_its_creation(tmp_path: Path, options: str) -> None:
    """Messages come out changed; SIGTERM ends everything with exit code 0."""
    with standalone(tmp_path / "data") as worker:
        exclaimer(worker, "ex", options)
        assert flow(worker, "ex", [b"a", b"b"]) == [b"a!", b"b!"]
        [instance] = worker.instances()
        assert instance["phase"] == "running"
        assert Path(instance["logFile"]).is_file()
        assert worker.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["term", "kill"])
@runtimes
def test_functions_and_messages_are_there_again(tmp_path: Path, number: signal.Signals, options: str) -> None:
    """After an end of any kind the same directory brings functions back, and what came in meanwhile is processed."""
    with standalone(tmp_path / "data") as worker:
        exclaimer(worker, "ex", options)
        assert flow(worker, "ex", [b"a"]) == [b"a!"]
        stopped = worker.http.post("/admin/v3/functions/public/default/ex/stop")
        assert stopped.status_code == 204
        producer = worker.client.create_producer("ex-in")
        producer.send(b"waits")
        producer.close()
        worker.stop(number)
        worker.start()
        assert worker.http.get("/admin/v3/functions/public/default").json() == ["ex"]
        consumer = worker.client.subscribe("ex-out", "test")
        assert worker.http.post("/admin/v3/functions/public/default/ex/start").status_code == 204
        # What was acknowledged just before a kill -9 may come again; nothing may be missing.
        while consumer.receive(20_000).data() != b"waits!":
            pass


def test_a_hangup_ends_a_worker_in_order(tmp_path: Path) -> None:
    """As SIGTERM does: the terminal went away, and what runs is brought to its end."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests by nohup has it ignored
    try:
        with standalone(tmp_path / "data") as worker:
            assert worker.stop(signal.SIGHUP) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_two_workers_can_not_own_one_directory(tmp_path: Path) -> None:
    """The second one is refused, and told who owns the directory."""
    with standalone(tmp_path / "data") as worker:
        command = [sys.executable, "-m", "magnetar", "standalone", "--data-dir", str(tmp_path / "data")]
        command += ["--http-port", "0", "--broker-port", "0", "--health-port", "0", "--metrics-port", "0"]
        second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert second.returncode == 1
        assert f"process {worker.pid}" in second.stderr
        assert second.stdout == ""
        assert worker.http.get("/admin/v3/functions/public/default").json() == []


@pytest.mark.parametrize("option", ["--http-port", "--broker-port", "--health-port", "--metrics-port"])
def test_a_port_in_use_is_named(tmp_path: Path, option: str) -> None:
    """One line names the setting and the address; the exit code is 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "magnetar", "standalone", "--data-dir", str(tmp_path / "data")]
        for each in ("--http-port", "--broker-port", "--health-port", "--metrics-port"):
            command += [each, port if each == option else "0"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert port in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_a_signal_before_the_ready_line_ends_it(tmp_path: Path) -> None:
    """A worker that is still starting can be stopped, and leaves nothing behind."""
    command = [sys.executable, "-m", "magnetar", "standalone", "--data-dir", str(tmp_path / "data")]
    command += ["--http-port", "0", "--broker-port", "0", "--health-port", "0", "--metrics-port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        assert process.stderr is not None
        os.read(process.stderr.fileno(), 1)
        process.terminate()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def test_a_java_function_without_javas_instance_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names the command that fetches it, and the setting that points at a Pulsar installation."""
    monkeypatch.setenv("MAGNETAR_CACHE", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "f.jar", "w") as jar:
        jar.writestr("a/B.class", class_file("a/B"))
    config = {"jar": "f.jar", "className": "a.B", "inputs": ["in"]}
    parts = {
        "functionConfig": (None, json.dumps(config), "application/json"),
        "data": ("f.jar", (tmp_path / "f.jar").read_bytes()),
    }
    with standalone(tmp_path / "data") as worker:
        answer = worker.http.post("/admin/v3/functions/public/default/f", files=parts)
        assert answer.status_code == 400
        assert "run `magnetar java fetch`, or set javaInstanceJarLocation" in answer.json()["reason"]
