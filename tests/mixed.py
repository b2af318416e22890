"""The same function in three languages under a standalone worker, for tests of a mixed fleet."""

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from standalone import Standalone
from toolchains import go_examples, java_examples

PYTHON = """\
from pulsar import Function


class Exclaim(Function):
    def process(self, input, context):
        if not input:
            raise ValueError("there is nothing to exclaim")
        context.record_metric("length", len(input))
        context.get_logger().info("exclaimed %d", len(input))
        return input + context.get_user_config_value("ending")
"""
DEADLINE = 60.0


def _exclaim_in_go() -> bytes:
    return (go_examples() / "exclaim").read_bytes()


@dataclass(frozen=True)
class Package:
    """What a language's function is created with."""

    file: str
    content: Callable[[], bytes]
    config: Mapping[str, Any]


PACKAGES = {
    "java": Package(
        "functions.jar",
        lambda: java_examples().read_bytes(),
        {"jar": "functions.jar", "className": "examples.Exclaim", "resources": {"ram": 2**28}},
    ),
    "go": Package("exclaim", _exclaim_in_go, {"go": "exclaim", "runtime": "GO"}),
    "python": Package("exclaim.py", PYTHON.encode, {"py": "exclaim.py", "className": "exclaim.Exclaim"}),
}


def post(worker: Standalone, name: str, package: str, content: bytes, config: Mapping[str, Any]) -> httpx.Response:
    """Create a function with `<name>-in` and `<name>-out`."""
    whole = {"subscriptionPosition": "Earliest", "inputs": [f"{name}-in"], "output": f"{name}-out", **config}
    parts = {"functionConfig": (None, json.dumps(whole), "application/json"), "data": (package, content)}
    return worker.http.post(path(name), files=parts, timeout=DEADLINE)


def path(name: str, verb: str = "") -> str:
    return f"/admin/v3/functions/public/default/{name}{verb}"


def create_in(worker: Standalone, language: str, name: str = "", ending: str = "?!", **config: Any) -> str:
    """Create the function in a language; returns its name."""
    name = name or f"{language}-{os.urandom(4).hex()}"
    package = PACKAGES[language]
    whole = {**package.config, "userConfig": {"ending": ending}, **config}
    answer = post(worker, name, package.file, package.content(), whole)
    assert answer.status_code == 204, answer.text
    return name


def update_ending(worker: Standalone, name: str, ending: str) -> None:
    """Give a function another user config; its package stays."""
    config = {"functionConfig": (None, json.dumps({"userConfig": {"ending": ending}}), "application/json")}
    answer = worker.http.put(path(name), files=config, timeout=DEADLINE)
    assert answer.status_code == 204, answer.text


def command(worker: Standalone, name: str, verb: str) -> None:
    """Ask for `start`, `stop`, `restart` or (an empty verb) the deletion, again while it is too early for it."""
    ask = worker.http.post if verb else worker.http.delete
    where = path(name, f"/{verb}") if verb else path(name)
    answers: list[httpx.Response] = []

    def asked() -> bool:
        answers.append(ask(where, timeout=DEADLINE))
        return "try again" not in answers[-1].text

    eventually(asked, lambda: answers[-1].text)
    assert answers[-1].status_code == 204, answers[-1].text


def instance_of(worker: Standalone, name: str) -> dict[str, Any] | None:
    return next((each for each in worker.instances() if each["fqfn"] == f"public/default/{name}"), None)


def eventually(ask: Callable[[], Any], told: Callable[[], str]) -> Any:
    """Ask again and again until the answer is true; returns it."""
    deadline = time.monotonic() + DEADLINE
    while not (answer := ask()):
        assert time.monotonic() < deadline, told()
    return answer


def wait_phase(worker: Standalone, name: str, *phases: str) -> dict[str, Any]:
    """Wait until the function's instance is in one of these phases; returns it."""

    def seen() -> dict[str, Any] | None:
        found = instance_of(worker, name)
        return found if found and found["phase"] in phases else None

    found: dict[str, Any] = eventually(seen, lambda: f"{instance_of(worker, name)}\n{worker.log()[-2000:]}")
    return found


def exchange(worker: Standalone, name: str, *texts: str, count: int) -> list[str]:
    """Send texts and return as many outputs."""
    consumer = worker.client.subscribe(f"{name}-out", "test")
    producer = worker.client.create_producer(f"{name}-in")
    for text in texts:
        producer.send(text.encode())
    outputs = []
    for _ in range(count):
        message = consumer.receive(int(DEADLINE * 1000))
        consumer.acknowledge(message)
        outputs.append(message.data().decode())
    consumer.close()
    producer.close()
    return outputs


def files_below(folder: Path, pattern: str) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.glob(pattern) if file.is_file())
