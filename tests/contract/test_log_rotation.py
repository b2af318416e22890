"""Logs of a real worker's functions, rotated while they are written and followed."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from mixed import eventually
from standalone import Standalone, standalone

pytestmark = pytest.mark.timeout(120)
LOGS = "/magnetar/v1/logs/public/default/talks"
TRIGGER = "/admin/v3/functions/public/default/talks/trigger"
CODE = """
import logging, os
said = 0
def process(input):
    global said
    for _ in range(int(input)):
        print("said", said)
        said += 1
    os.write(1, b"straight to the descriptor\\n")
    logging.getLogger().warning("that was %d", said)
    return str(said)
"""
ROUNDS, EACH = 4, 4000


def test_a_log_is_followed_through_its_rotations(tmp_path: Path) -> None:
    """Whoever follows gets each line once; the last ones are read across files, by time and level."""
    settings = tmp_path / "worker.yml"
    settings.write_text(json.dumps({"magnetar": {"logs": {"maxBytes": 300_000, "files": 90, "format": "json"}}}))
    with standalone(tmp_path / "data", "--config", str(settings)) as worker, ThreadPoolExecutor(1) as pool:
        assert worker.create("talks", CODE, {"inputs": ["talks-in"], "output": "talks-out"}).status_code == 204
        eventually(lambda: [each for each in worker.instances() if each["phase"] == "running"], worker.log)
        url = worker.addresses["http"]
        directory = tmp_path / "data" / "logs" / "functions" / "public" / "default" / "talks"
        with httpx.stream("GET", f"{url}{LOGS}?follow=true&tail=0", timeout=60) as answer:
            followed = pool.submit(collect, answer)
            for times in range(ROUNDS):
                assert worker.http.post(TRIGGER, content=str(EACH)).status_code == 200
                eventually(lambda times=times: rotations(directory) > times, lambda: str(list(directory.iterdir())))
            assert followed.result(60) == list(range(ROUNDS * EACH))
        assert numbers(worker, tail=ROUNDS * EACH * 2) == list(range(ROUNDS * EACH))
        assert numbers(worker, since="1h") == list(range(ROUNDS * EACH))
        assert numbers(worker, since="2100-01-01") == []
        warnings = worker.http.get(LOGS, params={"level": "WARNING", "tail": 3}).json()
        assert [json.loads(each["line"])["message"] for each in warnings if each["line"].startswith("{")][-1] == (
            f"that was {ROUNDS * EACH}"
        )
        assert "level: 'LOUD' is none of" in worker.http.get(LOGS, params={"level": "LOUD"}).json()["reason"]
        assert "neither a duration" in worker.http.get(LOGS, params={"since": "then"}).json()["reason"]
        command = [
            sys.executable,
            "-m",
            "magnetar",
            "functions",
            "logs",
            "talks",
            "--since",
            "1h",
            "--level",
            "warning",
        ]
        shown = subprocess.run([*command, "--admin-url", url], capture_output=True, text=True, check=True).stdout
        assert shown.count("that was") == ROUNDS
        assert '"said' not in shown


def rotations(directory: Path) -> int:
    return len(list(directory.glob("talks-0.log.*")))


def collect(answer: httpx.Response) -> list[int]:
    """Return the numbers that come, up to the last that will be said."""
    found: list[int] = []
    for line in answer.iter_lines():
        if line.startswith("data:"):
            found += said(json.loads(line.removeprefix("data:")))
            if found[-1:] == [ROUNDS * EACH - 1]:
                break
    return found


def numbers(worker: Standalone, **asked: Any) -> list[int]:
    lines = worker.http.get(LOGS, params=asked).raise_for_status().json()
    return [number for each in lines for number in said(each)]


def said(line: dict[str, Any]) -> list[int]:
    """Return the number of a line that the function printed; what it wrote past its log is no JSON."""
    if not line["line"].startswith("{"):
        return []
    message = json.loads(line["line"])["message"]
    return [int(message.split()[1])] if message.startswith("said ") else []
