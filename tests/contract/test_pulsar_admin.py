"""The pulsar-admin command line itself, as Maven has it, typed at a real worker."""

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pulsar
import pytest
from foreign_clients import pulsar_admin_classpath
from requirements import requires
from standalone import Standalone, standalone

pytestmark = [requires("java"), requires("maven"), pytest.mark.timeout(900)]
CODE = "def process(input):\n    return input + '!'\n"


class PulsarAdmin:
    """The command line with its configuration file."""

    def __init__(self, classpath: str, worker: Standalone, directory: Path) -> None:
        conf = directory / "client.conf"
        conf.write_text(f"webServiceUrl={worker.addresses['http']}\nbrokerServiceUrl={worker.addresses['broker']}\n")
        self._command = ["java", "-Xmx192m", "-XX:TieredStopAtLevel=1", "-cp", classpath]
        self._command += ["org.apache.pulsar.admin.cli.PulsarAdminTool", str(conf)]

    def run(self, line: str) -> str:
        """Run a line that is to succeed and return what it printed."""
        done = self._run(line)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def refused(self, line: str) -> str:
        """Run a line that is to fail and return what it said."""
        done = self._run(line)
        assert done.returncode != 0, f"{line}: {done.stdout}"
        return done.stdout + done.stderr

    def _run(self, line: str) -> subprocess.CompletedProcess[str]:
        command = [*self._command, *line.split()]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with standalone(tmp_path_factory.mktemp("pulsar-admin") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def admin(worker: Standalone, tmp_path_factory: pytest.TempPathFactory) -> PulsarAdmin:
    return PulsarAdmin(pulsar_admin_classpath(), worker, tmp_path_factory.mktemp("conf"))


@contextlib.contextmanager
def pulsar_client(worker: Standalone) -> Iterator[pulsar.Client]:
    made = pulsar.Client(worker.addresses["broker"], logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    try:
        yield made
    finally:
        made.close()


def running(worker: Standalone, count: int) -> None:
    while worker.http.get("/admin/v3/functions/public/default/cli/status").json()["numRunning"] != count:
        time.sleep(0.05)


def test_a_function_by_the_command_line(admin: PulsarAdmin, worker: Standalone, tmp_path: Path) -> None:
    """Every verb of `functions`, from create to delete, does what the manual says."""
    code = tmp_path / "exclaim.py"
    code.write_text(CODE)
    function = "--tenant public --namespace default --name cli"
    create = f"functions create --py {code} --classname exclaim {function} --inputs cli-in --output cli-out"
    assert "Created successfully" in admin.run(f"{create} --subs-position Earliest")
    assert "already exists" in admin.refused(create)
    assert "cli" in admin.run("functions list --tenant public --namespace default")
    running(worker, 1)
    assert json.loads(admin.run("functions get --fqfn public/default/cli"))["runtime"] == "PYTHON"
    assert json.loads(admin.run(f"functions status {function}"))["numRunning"] == 1
    assert json.loads(admin.run(f"functions status {function} --instance-id 0"))["running"] is True
    assert admin.run(f"functions trigger {function} --trigger-value hello") == "hello!"
    assert json.loads(admin.run(f"functions stats {function}"))["receivedTotal"] == 1
    assert "Updated successfully" in admin.run(f"functions update {function} --parallelism 2")
    assert "Updated successfully" in admin.run(f"functions update {function} --py {code} --classname exclaim")
    running(worker, 2)
    assert "Stopped" in admin.run(f"functions stop {function} --instance-id 1")
    assert "Started" in admin.run(f"functions start {function} --instance-id 1")
    assert "Restarted" in admin.run(f"functions restart {function}")
    assert "doesn't exist" in admin.refused(f"functions querystate {function} --key k")
    target = tmp_path / "downloaded"
    assert "Downloaded" in admin.run(f"functions download {function} --destination-file {target}")
    assert target.read_text() == CODE
    assert "Deleted" in admin.run(f"functions delete {function}")
    assert "doesn't exist" in admin.refused(f"functions get {function}")


def test_packages_by_the_command_line(admin: PulsarAdmin, tmp_path: Path) -> None:
    """Files are kept under a path, and packages through the same address."""
    source, target = tmp_path / "source.py", tmp_path / "target.py"
    source.write_text(CODE)
    admin.run(f"functions upload --source-file {source} --path public/default/cli-files/source.py")
    admin.run(f"functions download --path public/default/cli-files/source.py --destination-file {target}")
    assert target.read_text() == CODE
    admin.run(f"packages upload function://public/default/cli-package@v1 --path {source} --description x")
    assert "v1" in admin.run("packages list-versions function://public/default/cli-package")


def test_the_fleet_by_the_command_line(admin: PulsarAdmin) -> None:
    """`functions-worker` tells of the fleet."""
    assert json.loads(admin.run("functions-worker get-cluster-leader"))["workerId"] == "standalone"
    assert "standalone" in admin.run("functions-worker get-cluster")
    assert admin.run("functions-worker get-function-assignments") is not None
    assert admin.run("functions-worker function-stats") is not None
    assert "process" in admin.run("functions-worker monitoring-metrics")


def test_topics_by_the_command_line(admin: PulsarAdmin, worker: Standalone) -> None:
    """What the embedded broker has is made, read and changed through the worker's address."""
    admin.run("topics create-partitioned-topic public/default/cli-topic --partitions 2")
    topic = "public/default/cli-topic-partition-0"
    with pulsar_client(worker) as client:
        client.subscribe(topic, "s").close()
        client.create_producer(topic).send(b"a message")
    assert json.loads(admin.run(f"topics stats {topic}"))["subscriptions"]["s"]["msgBacklog"] == 1
    assert "a message" in admin.run(f"topics peek-messages {topic} --subscription s --count 1")
    admin.run(f"topics clear-backlog {topic} --subscription s")
    admin.run("topics delete-partitioned-topic public/default/cli-topic --force")
    assert "standalone" in admin.run("clusters list")
