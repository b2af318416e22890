"""A function's trouble is its own, in a process and in a thread of the worker: named, counted, and no message is lost by it.

One worker has all functions at the same time; each misbehaves as long as its mark is there.
"""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pulsar
import pytest
from standalone import Standalone, standalone, until

MODES = ("process", "thread")
HEAD = "import os, shutil, sys, time\nfrom pathlib import Path\nmark = Path({mark!r})\n"
TROUBLES = {
    "hangs": ("while mark.exists(): time.sleep(0.05)", "unhealthy"),
    "forks": ("os.fork()\n        mark.unlink()", ""),
    "leaves": ("sys.exit(3)", "sys.exit"),
    "exits": ("os._exit(4)", "exit"),
    "prints": ("mark.unlink()\n        for _ in range(64): print('x' * (1 << 20))", ""),
    "deletes": (
        "shutil.rmtree(os.path.dirname(os.path.abspath(__file__)), ignore_errors=True)\n        sys.exit(5)",
        "sys.exit",
    ),
    "hoards": ("held = [b'x' * (1 << 20) for _ in range(600)]; time.sleep(10)", "out of memory"),
    "raises": ("raise ValueError('never mind')", "never mind"),
}
BODY = "def process(input):\n    if input == 'bad' and mark.exists():\n        {what}\n    return input\n"
READS = """\
from dataclasses import dataclass

@dataclass
class Person:
    name: str

def process(input: Person) -> str:
    return input.name
"""
# Memory that a thread takes is the worker's.
CASES = [(mode, trouble) for mode in MODES for trouble in TROUBLES if (mode, trouble) != ("thread", "hoards")]


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    folder = tmp_path_factory.mktemp("bad")
    settings = {"limits": {"enforce": True}, "stallAfter": 1, "stallTimeout": 3, "restart": {"maxDelay": 1}}
    (folder / "worker.yml").write_text(json.dumps({"magnetar": settings}))
    with standalone(folder / "data", "--config", str(folder / "worker.yml")) as made:
        for mode, trouble in CASES:
            mark = folder / f"{mode}-{trouble}"
            mark.touch()
            code = (HEAD + BODY).format(mark=str(mark), what=TROUBLES[trouble][0])
            create(made, mode, trouble, code, {"resources": {"ram": 400 << 20}} if trouble == "hoards" else {})
        yield made


def create(worker: Standalone, mode: str, trouble: str, code: str, config: dict[str, Any]) -> None:
    name = f"{mode}-{trouble}"
    options = json.dumps({"magnetar": {"runtime": mode}})
    soon = {"consumerProperties": {"negativeAckRedeliveryDelayMicros": "200000"}, **config.pop("spec", {})}
    whole = {"inputSpecs": {f"{name}-in": soon}, "output": f"{name}-out", "customRuntimeOptions": options, **config}
    producer = worker.client.create_producer(f"{name}-in", batching_enabled=True)
    for payload in (b"one", b"bad", b"two"):
        producer.send_async(payload, None)
    producer.flush()
    producer.close()
    answer = worker.create(name, code, whole)
    assert answer.status_code == 204, answer.text


def told(worker: Standalone, name: str) -> str:
    """All that a user is told of a function."""
    status: str = worker.http.get(f"/admin/v3/functions/public/default/{name}/status").text
    events: str = worker.http.get(f"/magnetar/v1/instances/public/default/{name}/events").text
    return status + events


def results(worker: Standalone, name: str, expected: set[bytes]) -> None:
    reader = worker.client.create_reader(f"{name}-out", pulsar.MessageId.earliest)
    missing = set(expected)
    while missing:
        missing.discard(reader.read_next(60_000).data())
    reader.close()


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("mode", "trouble"), CASES)
def test_trouble_is_named_and_counted_and_loses_nothing(worker: Standalone, mode: str, trouble: str) -> None:
    """Whatever a function does to itself, all its messages have their results once it is mended."""
    name, (_, words) = f"{mode}-{trouble}", TROUBLES[trouble]
    until(lambda: words in told(worker, name), f"{words!r} is not told of {name}")
    if words:
        until(lambda: counted(worker, name), f"no trouble of {name} is counted")
    mark = worker.data.parent / name
    mark.unlink(missing_ok=True)
    results(worker, name, {b"one", b"bad", b"two"})


def counted(worker: Standalone, name: str) -> bool:
    """Whether a metric counts a failure, a restart or a death of the function."""
    text = httpx.get(worker.addresses["metrics"]).text
    lines = [line for line in text.splitlines() if f'"{name}"' in line or f"/{name}" in line]
    wanted = ("exceptions", "restarts", "phase", "deaths")
    return any(float(line.rsplit(" ", 1)[1]) > 0 for line in lines if any(each in line for each in wanted))


def backlog(worker: Standalone, name: str) -> int:
    """The messages that a function has not acknowledged."""
    stats = worker.http.get(f"/admin/v2/persistent/public/default/{name}-in/stats").json()
    waiting: int = stats["subscriptions"][f"public/default/{name}"]["msgBacklog"]
    return waiting


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", MODES)
def test_what_can_not_be_read_is_named_and_kept(worker: Standalone, mode: str) -> None:
    """Messages that are no such record fail, each by itself, and stay."""
    name = f"{mode}-reads"
    create(worker, mode, "reads", READS, {"spec": {"schemaType": "JSON"}})
    until(lambda: "JSONDecodeError" in told(worker, name), f"nothing is told of {name}")
    until(lambda: counted(worker, name), f"no trouble of {name} is counted")
    assert backlog(worker, name) == 3


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mode", MODES)
def test_a_schema_that_does_not_fit_is_named_and_loses_nothing(worker: Standalone, mode: str) -> None:
    """A function whose record is not what its topic holds ends with that reason; once it fits, it has every message."""
    name = f"{mode}-mismatch"
    fields = [{"name": "number", "type": "int"}]
    other = pulsar.schema.AvroSchema(None, {"type": "record", "name": "Person", "fields": fields})
    worker.client.create_producer(f"{name}-in", schema=other).close()
    create(worker, mode, "mismatch", READS, {"spec": {"schemaType": "JSON"}, "subscriptionPosition": "EARLIEST"})
    until(lambda: "IncompatibleSchema" in told(worker, name), f"no schema is told of {name}")
    until(lambda: counted(worker, name), f"no trouble of {name} is counted")
    assert worker.http.delete(f"/admin/v2/schemas/public/default/{name}-in/schema").is_success
    assert worker.http.post(f"/admin/v3/functions/public/default/{name}/restart").is_success
    until(lambda: "JSONDecodeError" in told(worker, name), f"{name} does not read")
    assert backlog(worker, name) == 3
