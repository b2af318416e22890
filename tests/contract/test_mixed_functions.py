"""Java, Go and Python functions under one `magnetar standalone`, through its REST API as any client sees it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mixed import create_in, exchange, post, wait_phase
from requirements import requires
from standalone import Standalone, standalone
from toolchains import CACHE, go_examples, java_examples, java_installation, pulsars_examples

pytestmark = [requires("java"), requires("maven"), requires("go"), pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    java_installation()
    data = tmp_path_factory.mktemp("mixed") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAGNETAR_CACHE", str(CACHE))
        with standalone(data) as made:
            yield made


def status_of(worker: Standalone, name: str, processed: int) -> dict[str, Any]:
    """Ask until so many messages are counted; returns the first instance's status."""
    deadline = time.monotonic() + 30
    while True:
        answer = worker.http.get(f"/admin/v3/functions/public/default/{name}/status").raise_for_status().json()
        status: dict[str, Any] = answer["instances"][0]["status"]
        if status["numSuccessfullyProcessed"] >= processed:
            return status
        assert time.monotonic() < deadline, status


@pytest.mark.parametrize("language", ["java", "go", "python"])
def test_status_stats_metrics_and_logs_look_the_same(worker: Standalone, language: str) -> None:
    """Whatever each instance tells, a user can't see from it in which language a function is written."""
    name = create_in(worker, language)
    instance = wait_phase(worker, name, "running")
    assert exchange(worker, name, "a", "", "bc", count=2) == ["a?!", "bc?!"]
    status = status_of(worker, name, 2)
    assert status["running"] is True
    assert status["error"] == ""
    assert status["numUserExceptions"] >= 1
    assert "there is nothing to exclaim" in status["latestUserExceptions"][0]["exceptionString"]
    assert abs(status["latestUserExceptions"][0]["timestampMs"] / 1000 - time.time()) < 120
    assert abs(status["lastInvocationTime"] / 1000 - time.time()) < 120
    stats = worker.http.get(f"/admin/v3/functions/public/default/{name}/stats").raise_for_status().json()
    assert stats["processedSuccessfullyTotal"] == 2
    assert stats["1min"]["receivedTotal"] >= 3
    figures = stats["instances"][0]["metrics"]
    assert figures["userMetrics"]["user_metric_length_sum"] == 3
    assert abs(figures["lastInvocation"] / 1000 - time.time()) < 120
    text = httpx.get(worker.addresses["metrics"]).text
    series = f'fqfn="public/default/{name}"'
    for metric in ("received_total", "processed_successfully_1min_total", "user_metric_sum", "last_invocation"):
        assert any(
            line.startswith(f"pulsar_function_{metric}{{") and series in line and 'instance_id="0"' in line
            for line in text.splitlines()
        ), metric
    logs = worker.http.get(f"/magnetar/v1/logs/public/default/{name}", params={"tail": 1000}).text
    assert "exclaimed" in logs
    if language == "java":
        assert exchange(worker, name, "def", count=1) == ["def?!"]
        logs = worker.http.get(f"/magnetar/v1/logs/public/default/{name}", params={"tail": 10_000}).text
        places = [logs.index(each) for each in ("exclaimed 1", "printed a", "exclaimed 3", "printed def")]
        assert places == sorted(places)
    assert Path(instance["logFile"]).name == f"{name}-0.log"
    assert worker.http.delete(f"/admin/v3/functions/public/default/{name}").status_code == 204


@pytest.mark.parametrize("language", ["java", "go"])
def test_a_killed_instance_comes_back_and_says_why_it_went(worker: Standalone, language: str) -> None:
    """The restart is counted, and messages flow again."""
    name = create_in(worker, language)
    pid = wait_phase(worker, name, "running")["pid"]
    os.kill(pid, 9)
    deadline = time.monotonic() + 60
    while (instance := wait_phase(worker, name, "running", "starting", "backing-off"))["restarts"] == 0:
        assert time.monotonic() < deadline
    instance = wait_phase(worker, name, "running")
    assert (instance["restarts"], instance["pid"] != pid) == (1, True)
    assert exchange(worker, name, "a", count=1) == ["a?!"]
    worker.http.delete(f"/admin/v3/functions/public/default/{name}")


@pytest.mark.parametrize(
    ("package", "content", "config", "words"),
    [
        ("f.jar", "java", {"jar": "f.jar", "className": "examples.Missing"}, "has no such class"),
        ("f.jar", "java", {"jar": "f.jar", "className": "examples.NoFunction"}, "must either be Function"),
        (
            "f.jar",
            "java",
            {"jar": "f.jar", "className": "examples.Reverse", "resources": {"ram": 2**60}},
            "ask for less",
        ),
        ("f.jar", "java", {"jar": "f.jar", "className": "examples.Reverse", "runtimeFlags": '-Da="b'}, "runtimeFlags"),
        (
            "f.jar",
            "pulsar",
            {"jar": "f.jar", "className": "org.apache.pulsar.functions.api.examples.WordCountFunction"},
            "uses state",
        ),
        ("f", "script", {"go": "f", "runtime": "GO"}, "is a script, no Go program"),
    ],
    ids=["class", "interface", "heap", "flags", "state", "script"],
)
def test_what_cannot_run_is_refused_at_create(
    worker: Standalone, package: str, content: str, config: dict[str, Any], words: str
) -> None:
    """With 400 and a sentence that says what to change; nothing is created."""
    contents = {
        "java": java_examples().read_bytes,
        "pulsar": pulsars_examples().read_bytes,
        "script": lambda: b"#!/bin/sh\n",
    }
    answer = post(worker, "refused", package, contents[content](), config)
    assert answer.status_code == 400, answer.text
    assert words in answer.json()["reason"]
    assert worker.http.get("/admin/v3/functions/public/default/refused").status_code == 404


def test_a_go_program_that_ends_at_once_tells_its_own_words(worker: Standalone) -> None:
    """Built for this machine it is accepted; that it ends is in the status, with what it said."""
    name = "impatient"
    content = (go_examples() / "impatient").read_bytes()
    answer = post(worker, name, "impatient", content, {"go": "impatient", "runtime": "GO"})
    assert answer.status_code == 204, answer.text
    deadline = time.monotonic() + 60
    while True:
        found = worker.http.get(f"/admin/v3/functions/public/default/{name}/status").json()
        if "no licence" in (error := found["instances"][0]["status"]["error"]):
            break
        assert time.monotonic() < deadline, error
    assert "exit code 3" in error
    worker.http.delete(f"/admin/v3/functions/public/default/{name}")
