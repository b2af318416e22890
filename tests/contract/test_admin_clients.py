"""Pulsar's own admin clients for Java and Go: every call about functions, by token over TLS, against a real worker."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from requirements import requires
from secured import Secured, secured, token_of

HERE = Path(__file__).parent
CODE = "def process(input):\n    return input + '!'\n"
Told = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("admin")) as running:
        yield running


def built(command: list[str], directory: Path) -> None:
    """Run a build with whatever it needs from its registry."""
    done = subprocess.run(["nice", "-n", "19", *command], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def called(command: list[str], worker: Secured, name: str, directory: Path) -> Told:
    """Run a program of calls and return what it told of each."""
    code = directory / "exclaim.py"
    code.write_text(CODE)
    arguments = [worker.url, name, str(code)]
    known = {**os.environ, "TOKEN": token_of("root"), "AUTHORITY": str(worker.authority.certificate)}
    done = subprocess.run([*command, *arguments], env=known, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {line["call"]: line for line in lines}


def check(told: Told, name: str, refused: dict[str, tuple[int, str]]) -> None:
    """Every call succeeds but those that are to be refused, with their status and words."""
    for call, line in told.items():
        status, words = refused.get(call, (None, ""))
        assert line.get("status") == status, line
        assert words in (line.get("reason") or ""), line
        assert status is not None or not (line.get("reason") or line.get("error")), line
    assert set(refused) <= set(told)
    assert name not in json.dumps(told[next(call for call in told if call.endswith("at the end"))]["result"])


@requires("java")
@requires("maven")
@pytest.mark.timeout(600)
def test_java(worker: Secured, tmp_path: Path) -> None:
    """PulsarAdmin 4.0 calls every method and reads every answer."""
    source = HERE / "java"
    output = ["-Dmdep.outputFile=" + str(tmp_path / "classpath"), "-DbuildDirectory=" + str(tmp_path / "target")]
    built(["mvn", "-q", "-B", "compile", "dependency:build-classpath", *output], source)
    classpath = f"{tmp_path / 'target' / 'classes'}:{(tmp_path / 'classpath').read_text()}"
    told = called(["java", "-Xmx256m", "-cp", classpath, "magnetar.AdminCalls"], worker, "java", tmp_path)
    check(
        told,
        "java",
        {
            "createFunction again": (400, "already exists"),
            "getFunction absent": (404, "doesn't exist"),
            "stopFunction of one again": (400, "Operation not permitted"),
            "createFunctionWithUrl refused": (400, "additionalEnabledFunctionsUrlPatterns"),
            "getFunctionState": (404, "doesn't exist"),
            "downloadFunction of a transformation": (404, "Not Found"),
            "rebalance": (400, "worker"),
            "deleteFunction again": (404, "doesn't exist"),
        },
    )
    found = told["getFunction"]["result"]
    assert (found["className"], found["runtime"], found["parallelism"]) == ("exclaim", "PYTHON", 1)
    assert found["userConfig"] == {"number": 5, "text": "x"}
    assert found["resources"] == {"cpu": 0.5, "ram": 2**28, "disk": 2**30}
    assert found["subscriptionPosition"] == "Earliest"
    after = told["getFunction after update"]["result"]
    assert after == {**found, "parallelism": 2}
    assert told["getFunctionStatus"]["result"]["numRunning"] == 1
    assert told["getFunctionStatus of one"]["result"]["running"] is True
    assert told["triggerFunction"]["result"] == "hello!"
    assert told["triggerFunction by file"]["result"] == "from a file!"
    assert told["getFunctionStats"]["result"]["receivedTotal"] == 2
    assert told["getFunctionStats"]["result"]["oneMin"]["receivedTotal"] <= 2
    assert told["getFunctionStats of one"]["result"]["processedSuccessfullyTotal"] == 2
    assert told["downloadFunction"]["result"] == told["downloadFunction by path"]["result"] == CODE
    assert told["getCluster"]["result"] == [told["getClusterLeader"]["result"]]
    assert told["getClusterLeader"]["result"]["workerId"] == "standalone"
    assert "public/default/java:1" in told["getAssignments"]["result"]["standalone"]
    assert "public/default/java:1" in {each["name"] for each in told["getFunctionsStats"]["result"]}


@requires("go")
@pytest.mark.timeout(600)
def test_go(worker: Secured, tmp_path: Path) -> None:
    """The package that pulsarctl and the Terraform provider use calls every method and reads every answer."""
    program = tmp_path / "calls"
    built(["go", "build", "-o", str(program), "."], HERE / "go")
    assert os.access(program, os.X_OK)
    told = called([str(program)], worker, "go", tmp_path)
    check(
        told,
        "go",
        {
            "CreateFunc again": (400, "already exists"),
            "GetFunction absent": (404, "doesn't exist"),
            "GetFunctionStatusWithInstanceID beyond": (400, "0 to 1"),
            "StopFunctionWithID again": (400, "Operation not permitted"),
            "GetFunctionState": (404, "doesn't exist"),
            "DeleteFunction again": (404, "doesn't exist"),
        },
    )
    found = told["GetFunction"]["result"]
    assert (found["className"], found["runtime"], found["parallelism"]) == ("exclaim", "PYTHON", 1)
    assert found["userConfig"] == {"number": 5, "text": "x"}
    assert told["GetFunction after update"]["result"] == {**found, "parallelism": 2}
    assert told["GetFunctionStatus"]["result"]["numRunning"] == 2
    assert told["GetFunctionStats"]["result"]["receivedTotal"] == 2
    assert told["DownloadFunctionByNs"]["result"] == told["DownloadFunction"]["result"] == CODE
    assert told["GetCluster"]["result"] == [told["GetClusterLeader"]["result"]]
    assert "public/default/go:1" in told["GetAssignments"]["result"]["standalone"]
    assert "public/default/go:1" in {each["name"] for each in told["GetFunctionsStats"]["result"]}
