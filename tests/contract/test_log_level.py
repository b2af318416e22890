"""The level of a function's log, changed by the command line while it runs, in a process and in a thread."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from instance_process import until
from standalone import Standalone, standalone

MAGNETAR = str(Path(sys.executable).parent / "magnetar")
CHATTY = """\
class Chatty:
    def process(self, input, context):
        context.get_logger().debug("seen %s", input)
        return input
"""


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    with standalone(tmp_path_factory.mktemp("levels") / "data") as made:
        yield made


def magnetar(worker: Standalone, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environ = {**os.environ, "MAGNETAR_ADMIN_URL": worker.addresses["http"]}
    command = [MAGNETAR, "functions", "loglevel", *arguments]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def log(worker: Standalone, name: str) -> str:
    answer = worker.http.get(f"/magnetar/v1/logs/public/default/{name}")
    return "\n".join(each["line"] for each in answer.raise_for_status().json())


def said(worker: Standalone, name: str, text: str) -> None:
    until(lambda: log(worker, name), lambda lines: text in lines)


@pytest.mark.parametrize("runtime", ["process", "thread"])
def test_the_level_changes_while_the_function_runs(worker: Standalone, runtime: str) -> None:
    """For a while or until told otherwise, without a restart."""
    name = f"chatty-{runtime}"
    config = {
        "className": "function.Chatty",
        "inputs": [f"{name}-in"],
        "customRuntimeOptions": json.dumps({"magnetar": {"runtime": runtime}}),
    }
    assert worker.create(name, CHATTY, config).status_code == 204
    view = f"/magnetar/v1/instances/public/default/{name}/0"
    until(lambda: worker.http.get(view).json(), lambda now: now.get("phase") == "running")
    producer = worker.client.create_producer(f"{name}-in")
    done = magnetar(worker, name, "--level", "debug", "--for", "1h")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"level": "DEBUG"}), done.stderr
    said(worker, name, "the log level is DEBUG for 3600 s")
    producer.send(b"one")
    said(worker, name, "seen one")
    assert magnetar(worker, name, "--level", "error", "--for", "0.1s").returncode == 0
    said(worker, name, "the log level is INFO as before")
    assert worker.http.get(view).json()["restarts"] == 0


def test_what_is_no_level_and_nobodys_is_refused(worker: Standalone) -> None:
    """By name, in one line."""
    assert worker.create("quiet", CHATTY, {"className": "function.Chatty", "inputs": ["quiet-in"]}).status_code == 204
    for arguments, named in (
        (("quiet", "--level", "loud"), "level 'loud' is none of DEBUG"),
        (("quiet", "--level", "info", "--for", "soon"), "'soon' is no duration"),
        (("quiet", "--level", "info", "--instance-id", "7"), "7"),
        (("nobody", "--level", "info"), "nobody"),
    ):
        found = magnetar(worker, *arguments)
        assert (found.returncode != 0, named in found.stderr) == (True, True), found.stderr
