"""The command line as a program, against a real worker with a real broker and real instances."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulsar
import pytest
from standalone import Standalone, standalone

ROOT = Path(__file__).parents[2]
MAGNETAR = str(Path(sys.executable).parent / "magnetar")
CODE = "def process(input):\n    print('got', input)\n    return input + '!'\n"
FAILING = "import nothing_of_this_name\n\ndef process(input):\n    return input\n"
PATIENCE_MS = 30_000
pytestmark = pytest.mark.timeout(180)


@dataclass
class Program:
    """`magnetar` with a worker's address in its environment."""

    home: Path
    environ: dict[str, str]

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [MAGNETAR, *arguments]
        return subprocess.run(command, cwd=self.home, env=self.environ, capture_output=True, text=True, check=False)

    def json(self, *arguments: str) -> Any:
        found = self.run(*arguments)
        assert (found.returncode, found.stderr) == (0, ""), found.stderr
        return json.loads(found.stdout)

    def refused(self, *arguments: str) -> str:
        found = self.run(*arguments)
        assert (found.returncode, found.stdout) == (1, "")
        assert found.stderr.count("\n") == 1
        return found.stderr

    def write(self, name: str, code: str = CODE, **more: Any) -> str:
        """Write a function and its config; returns the config's path."""
        (self.home / f"{name}.py").write_text(code)
        config = {"className": name, "py": f"{name}.py", "inputs": [f"{name}-in"], "output": f"{name}-out", **more}
        (self.home / f"{name}.json").write_text(json.dumps(config))
        return f"{name}.json"


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with standalone(tmp_path_factory.mktemp("cli") / "data") as found:
        yield found


@pytest.fixture
def magnetar(worker: Standalone, tmp_path: Path) -> Program:
    return Program(tmp_path, {**os.environ, "MAGNETAR_ADMIN_URL": worker.addresses["http"]})


def test_a_function_from_its_file_to_its_end(magnetar: Program) -> None:
    """Create, look, use, change, stop, start and delete, with JSON in a pipe."""
    file, name = magnetar.write("echo"), "public/default/echo"
    created = magnetar.json("functions", "create", "--function-config-file", file, "--parallelism", "2", "--wait")
    assert created == {"created": name}
    assert "echo" in magnetar.json("functions", "list")
    config = magnetar.json("functions", "get", "--name", "echo")
    assert (config["className"], config["output"], config["parallelism"]) == ("echo", "echo-out", 2)
    assert magnetar.run("functions", "trigger", "--name", "echo", "--trigger-value", "hello").stdout == "hello!\n"
    assert magnetar.run("functions", "invoke", "echo", "again").stdout == "again!\n"
    status = magnetar.json("functions", "getstatus", "--fqfn", name)
    assert (status["numInstances"], status["numRunning"]) == (2, 2)
    assert sum(each["status"]["numSuccessfullyProcessed"] for each in status["instances"]) == 2
    assert magnetar.json("functions", "status", "echo", "--instance-id", "1")["running"] is True
    assert magnetar.json("functions", "stats", "echo")["processedSuccessfullyTotal"] == 2
    assert magnetar.json("functions", "update", "--name", "echo", "--log-topic", "k", "--wait") == {"updated": name}
    assert magnetar.json("functions", "update", "echo", "--log-topic", "l", "--wait") == {"updated": name}
    twice = magnetar.run("functions", "update", "echo", "--name", "other")
    assert (twice.returncode, "named twice, echo and other" in twice.stderr) == (2, True)
    running = {each["instance"]: each["phase"] for each in magnetar.json("top", "--interval", "0.2")}
    assert (running[f"{name}:0"], running[f"{name}:1"]) == ("running", "running")
    assert magnetar.json("functions", "get", "echo")["logTopic"] == "l"
    assert magnetar.json("functions", "stop", "echo") == {"stopped": name}
    assert magnetar.json("functions", "start", "echo", "--wait") == {"started": name}
    assert magnetar.json("functions", "restart", "echo", "--instance-id", "0") == {"restarted": f"{name}:0"}
    assert magnetar.json("functions", "delete", "echo") == {"deleted": name}
    assert "echo" not in magnetar.json("functions", "list")


def test_where_no_answer_comes_it_is_told_why(magnetar: Program) -> None:
    """A function that raises, returns nothing, is stopped or never ran: each is named before the worker's 30 s are over."""
    code = "def process(input):\n    if input == 'fail':\n        raise ValueError('no database')\n"
    magnetar.json("functions", "create", "--function-config-file", magnetar.write("mute", code), "--wait")
    assert "public/default/mute failed: ValueError: no database" in magnetar.refused(
        "functions", "invoke", "mute", "fail"
    )
    for command in (("trigger", "mute", "--trigger-value", "x"), ("invoke", "mute", "x")):
        quiet = magnetar.run("functions", *command)
        assert (quiet.returncode, quiet.stdout) == (0, "")
        assert quiet.stderr == "warning: public/default/mute processed the value and returned nothing\n"
    magnetar.json("functions", "stop", "mute")
    assert "does not run: instance 0 is stopped" in magnetar.refused(
        "functions", "trigger", "mute", "--trigger-value", "x"
    )
    assert (
        magnetar.run(
            "functions", "create", "--function-config-file", magnetar.write("bad", FAILING), "--wait"
        ).returncode
        == 1
    )
    never = magnetar.refused("functions", "trigger", "bad", "--trigger-value", "x")
    assert "is not ready: none of its instances reads" in never
    assert "instance 0 is failed: ModuleNotFoundError: No module named 'nothing_of_this_name'" in never


def test_tables_are_for_eyes(magnetar: Program) -> None:
    """With --format table, or on a terminal."""
    file = magnetar.write("seen")
    created = magnetar.run("functions", "create", "--function-config-file", file, "--wait", "--format", "table")
    assert created.stdout == "Created public/default/seen.\n"
    header, _, row = magnetar.run("--format", "table", "functions", "status", "seen").stdout.splitlines()
    assert header.split()[:3] == ["instance", "phase", "received"]
    assert row.split()[:3] == ["0", "running", "0"]
    assert "seen" in magnetar.run("functions", "list", "--format", "table").stdout
    assert "received" in magnetar.run("functions", "stats", "seen", "--format", "table").stdout
    assert "standalone" in magnetar.run("functions-worker", "get-cluster", "--format", "table").stdout


def test_refusals_are_one_line_with_the_workers_reason(magnetar: Program) -> None:
    """Exit code 1, and nothing on standard output."""
    assert "doesn't exist" in magnetar.refused("functions", "get", "--name", "nobody")
    file = magnetar.write("loop", output="loop-in")
    assert "also being used as an input" in magnetar.refused("functions", "create", "--function-config-file", file)
    file = magnetar.write("syntax", "def process(:\n")
    assert "syntax.py" in magnetar.refused("functions", "create", "--function-config-file", file)


def test_a_function_that_cannot_run_says_why(magnetar: Program) -> None:
    """`--wait` fails with the reason at once, and status tells it."""
    file = magnetar.write("failing", FAILING)
    found = magnetar.run("functions", "create", "--function-config-file", file, "--wait")
    assert found.returncode == 1
    assert "nothing_of_this_name" in found.stderr
    assert "nothing_of_this_name" in magnetar.run("functions", "status", "failing", "--format", "table").stdout


def test_unknown_keys_are_told_once(magnetar: Program) -> None:
    """Here and by the worker: one warning."""
    file = magnetar.write("unknown", paralelism=2)
    found = magnetar.run("functions", "create", "--function-config-file", file)
    assert found.returncode == 0
    assert found.stderr == "warning: unknown key 'paralelism'; did you mean 'parallelism'?\n"


def test_a_plan_tells_what_would_change(magnetar: Program) -> None:
    """Nothing is changed by it."""
    file = magnetar.write("planned")
    assert magnetar.json("functions", "plan", "--function-config-file", file)["action"] == "create"
    magnetar.json("functions", "create", "--function-config-file", file)
    plan = ("functions", "plan", "--name", "planned", "--parallelism", "3", "--log-topic", "l")
    found = magnetar.json(*plan)
    assert {change["field"]: change["after"] for change in found["changes"]} == {"logTopic": "l", "parallelism": 3}
    assert (found["action"], found["started"]) == ("update", [1, 2])
    assert "Instances that would be started: 1, 2." in magnetar.run(*plan, "--format", "table").stdout
    assert magnetar.json("functions", "get", "planned")["parallelism"] == 1


def test_logs_are_printed_and_followed(magnetar: Program) -> None:
    """The last lines at once; with -f each line as it is written, until Ctrl-C."""
    file = magnetar.write("talking")
    magnetar.json("functions", "create", "--function-config-file", file, "--wait")
    magnetar.run("functions", "trigger", "talking", "--trigger-value", "one")
    (line,) = [each for each in magnetar.run("functions", "logs", "talking").stdout.splitlines() if "got one" in each]
    assert line.startswith("0: ")
    command = [MAGNETAR, "functions", "logs", "talking", "-f", "--instance-id", "0"]
    with subprocess.Popen(command, env=magnetar.environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert any("got one" in line for line in process.stdout)
        magnetar.run("functions", "trigger", "talking", "--trigger-value", "two")
        assert any("got two" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_packages_go_up_and_come_down(magnetar: Program) -> None:
    """The package of a function as it was sent, and a file under a path."""
    magnetar.json("functions", "create", "--function-config-file", magnetar.write("packed"))
    assert magnetar.json("functions", "download", "packed", "--destination-file", "back.py") == {"written": "back.py"}
    assert (magnetar.home / "back.py").read_text() == CODE
    stored = "public/default/packed/file.py"
    assert magnetar.json("functions", "upload", "--source-file", "packed.py", "--path", stored) == {"stored": stored}
    magnetar.json("functions", "download", "--path", stored, "--destination-file", "again.py")
    assert (magnetar.home / "again.py").read_text() == CODE


def test_the_fleet_is_looked_at(magnetar: Program) -> None:
    """Members, leader and assignments, under either name of the command."""
    (member,) = magnetar.json("functions-worker", "get-cluster")
    assert magnetar.json("workers", "get-cluster-leader") == member
    magnetar.json("functions", "create", "--function-config-file", magnetar.write("assigned"), "--wait")
    name = "public/default/assigned:0"
    assert name in magnetar.json("workers", "get-function-assignments")[member["workerId"]]
    assert name in [each["name"] for each in magnetar.json("workers", "function-stats")]
    assert isinstance(magnetar.json("workers", "monitoring-metrics"), list)


def test_the_shell_completes_functions(magnetar: Program) -> None:
    """The names of the namespace, asked of the worker; nothing where none answers."""
    magnetar.json("functions", "create", "--function-config-file", magnetar.write("completed"))
    words = {"COMP_WORDS": "magnetar functions status compl", "COMP_CWORD": "3", "_MAGNETAR_COMPLETE": "complete_bash"}
    magnetar.environ |= words
    assert magnetar.run().stdout.split() == ["completed"]
    magnetar.environ["MAGNETAR_ADMIN_URL"] = "http://127.0.0.1:1"
    assert magnetar.run().stdout.split() == []


def test_a_reader_that_leaves_is_no_error(magnetar: Program) -> None:
    """`magnetar functions list | true` ends in silence."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [MAGNETAR, "functions", "list"]
    found = subprocess.run(command, env=magnetar.environ, stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert found.stderr == b""


def test_the_servers_verbs_read_the_environment(magnetar: Program) -> None:
    """A variable that can't be used keeps them from starting, with one line that names it."""
    magnetar.environ["MAGNETAR_healthPort"] = "many"
    for arguments in (["standalone"], ["worker", "-c", str(ROOT / "conf" / "functions_worker.yml")]):
        assert magnetar.refused(*arguments).startswith("magnetar: MAGNETAR_healthPort: magnetar.healthPort is 'many'")


def commands(readme: Path) -> list[tuple[list[str], str]]:
    """Return the command lines of a README and what each is said to print or show."""
    (block,) = re.findall(r"```sh\n(.*?)```", readme.read_text(), re.DOTALL)
    parts = (line.partition(" # ") for line in block.splitlines())
    return [(shlex.split(line), re.sub(r"^(prints|shows) ", "", said)) for line, _, said in parts]


@pytest.mark.parametrize("example", [path.parent.name for path in ROOT.glob("examples/*/function.yml")])
def test_what_an_examples_readme_says_is_true(example: str, magnetar: Program) -> None:
    """Its commands succeed in this order and print what they are said to."""
    magnetar.home = ROOT
    for command, said in commands(ROOT / "examples" / example / "README.md"):
        assert command[0] == "magnetar"
        found = magnetar.run(*command[1:])
        assert (found.returncode, found.stderr) == (0, ""), found.stderr
        assert said in found.stdout


def test_the_router_publishes_to_the_topic_of_each_order(worker: Standalone, magnetar: Program) -> None:
    """By the content of the message, with its country as a property."""
    magnetar.home = ROOT
    file = "examples/router/function.yml"
    magnetar.json("functions", "create", "--function-config-file", file, "--name", "router-too", "--wait")
    consumers = {topic: worker.client.subscribe(topic, "test") for topic in ("orders-de", "orders-elsewhere")}
    producer = worker.client.create_producer("orders")
    producer.send(b'{"country": "de"}')
    producer.send(b'{"country": "nz"}')
    for topic, country in (("orders-de", "de"), ("orders-elsewhere", "nz")):
        message: pulsar.Message = consumers[topic].receive(PATIENCE_MS)
        assert json.loads(message.data()) == {"country": country}
        assert message.properties()["country"] == country
