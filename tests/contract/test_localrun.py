"""`magnetar functions localrun` as a program, against a broker that is there."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pulsar
import pytest
from magnetar_broker.testing import RunningBroker

MAGNETAR = str(Path(sys.executable).parent / "magnetar")
PATIENCE_MS = 30_000


@contextmanager
def localrun(broker: RunningBroker, home: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run one while the context is open; its temporary files go below `home`."""
    (home / "temporary").mkdir(exist_ok=True)
    command = [MAGNETAR, "functions", "localrun", "--broker-service-url", broker.service_url, *arguments]
    environ = {**os.environ, "TMPDIR": str(home / "temporary")}
    with (home / "err").open("w") as err:
        process = subprocess.Popen(command, cwd=home, env=environ, stdout=subprocess.PIPE, stderr=err, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def until(process: "subprocess.Popen[str]", *said: str) -> str:
    """Return the first line of its output that says something; that it ends first is a failure."""
    assert process.stdout
    line = next((line for line in process.stdout if any(each in line for each in said)), None)
    assert line is not None
    return line


@pytest.mark.timeout(120)
def test_a_function_runs_prints_its_log_and_ends_when_asked(pulsar_broker: RunningBroker, tmp_path: Path) -> None:
    """Two instances, messages through them, their log on the output, and nothing left of them."""
    (tmp_path / "shout.py").write_text("def process(input):\n    print('got', input)\n    return input.upper()\n")
    arguments = ["--py", "shout.py", "--classname", "shout", "--inputs", "localrun-in", "--output", "localrun-out"]
    with localrun(pulsar_broker, tmp_path, *arguments, "--parallelism", "2", "--instance-id-offset", "3") as process:
        ready = sorted(until(process, "subscribed and ready")[:2] for _ in range(2))
        assert ready == ["3:", "4:"]
        client = pulsar.Client(pulsar_broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
        consumer = client.subscribe("localrun-out", "test")
        client.create_producer("localrun-in").send(b"hello")
        assert consumer.receive(PATIENCE_MS).data() == b"HELLO"
        client.close()
        assert "got hello" in until(process, "got")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.timeout(120)
def test_a_function_that_cannot_be_imported_ends_it_with_the_reason(
    pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """Exit code 1, and the exception is told."""
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n\ndef process(input):\n    return input\n")
    with localrun(pulsar_broker, tmp_path, "--py", "broken.py", "--classname", "broken", "--inputs", "b-in") as process:
        assert process.wait(60) == 1
    assert "nothing_of_this_name" in (tmp_path / "err").read_text().splitlines()[-1]


def test_what_a_worker_would_refuse_is_refused(pulsar_broker: RunningBroker, tmp_path: Path) -> None:
    """Before anything is started."""
    (tmp_path / "f.py").write_text("def process(input:\n")
    with localrun(pulsar_broker, tmp_path, "--py", "f.py", "--classname", "f", "--inputs", "x") as process:
        assert process.wait(60) == 1
    assert "f.py" in (tmp_path / "err").read_text()
