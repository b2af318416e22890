import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from standalone import DEADLINE, standalone

EXCLAIM = "def process(input):\n    return f'{input}!'\n"


def test_events_tell_why_an_instance_was_started_again(tmp_path: Path) -> None:
    """A kill stands between two starts, with the signal; REST and the command line tell the same."""
    with standalone(tmp_path / "data") as worker:
        config = {"inputs": ["ex-in"], "output": "ex-out"}
        assert worker.create("ex", EXCLAIM, config).status_code == 204
        deadline = time.monotonic() + DEADLINE
        while not (seen := worker.instances()) or seen[0]["phase"] != "running":
            assert time.monotonic() < deadline
        os.kill(seen[0]["pid"], signal.SIGKILL)
        while worker.instances()[0]["pid"] in (None, seen[0]["pid"]) or worker.instances()[0]["phase"] != "running":
            assert time.monotonic() < deadline
        told = worker.http.get("/magnetar/v1/instances/public/default/ex/events").json()
        assert [each["event"] for each in told].count("spawn") == 2
        [ended] = [each for each in told if each["event"] == "end"]
        assert "signal SIGKILL" in ended["reason"]
        assert [each["time"] for each in told] == sorted(each["time"] for each in told)
        command = [
            sys.executable,
            "-m",
            "magnetar",
            "functions",
            "events",
            "--name",
            "ex",
            "--admin-url",
            worker.addresses["http"],
        ]
        printed = subprocess.run(
            [*command, "--format", "table"], capture_output=True, text=True, timeout=30, check=True
        )
        assert "signal SIGKILL" in printed.stdout
        refused = worker.http.get("/magnetar/v1/manifests/public/default/ex")
        assert (refused.status_code, refused.json()["reason"]) == (400, "public/default/ex does not run in Kubernetes")
        follow = subprocess.Popen([*command, "--follow", "--format", "json"], stdout=subprocess.PIPE, text=True)
        with follow:
            assert follow.stdout is not None
            assert json.loads(follow.stdout.readline())["event"] == "spawn"
            assert worker.http.delete("/admin/v3/functions/public/default/ex").status_code == 204
            last = [json.loads(line)["event"] for line in follow.stdout]
            assert follow.wait(DEADLINE) == 0
        assert last[-1] in {"ready", "stop", "end"}
