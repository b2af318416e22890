"""Instances, broker and worker are killed under load, again and again; inputs and results are counted on their topics.

Too long for every run: `scripts/soak kills` asks for forty kills by MAGNETAR_KILLS.
"""

import contextlib
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import psutil
import pulsar
import pytest
from standalone import Standalone, standalone

KILLS = int(os.environ.get("MAGNETAR_KILLS", "0"))
DEADLINE = 120.0
PARTITIONS = 2
SPACE = "public/kills"
# Slow enough for a backlog at every kill.
ECHO = "import time\n\ndef process(input):\n    time.sleep(0.0005)\n    return input\n"
GUARANTEES = ("ATLEAST_ONCE", "EFFECTIVELY_ONCE")
pytestmark = [pytest.mark.timeout(180 + 30 * KILLS), pytest.mark.skipif(not KILLS, reason="MAGNETAR_KILLS is not set")]


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Standalone]:
    with standalone(tmp_path / "data") as made:
        yield made


def topic(guarantee: str, kind: str) -> str:
    return f"persistent://{SPACE}/{guarantee.lower()}-{kind}"


def partitions(name: str) -> list[str]:
    return [f"{name}-partition-{number}" for number in range(PARTITIONS)]


def create(worker: Standalone, guarantee: str) -> None:
    for kind in ("in", "out"):
        path = topic(guarantee, kind).replace("://", "/")
        assert worker.http.put(f"/admin/v2/{path}/partitions", json=PARTITIONS).is_success
    config = {
        "inputs": [topic(guarantee, "in")],
        "output": topic(guarantee, "out"),
        "processingGuarantees": guarantee,
        "parallelism": 2,
        "subName": guarantee,
    }
    answer = worker.create(guarantee.lower(), ECHO, config)
    assert answer.status_code == 204, answer.text


def produce(worker: Standalone, payloads: list[bytes]) -> None:
    for guarantee in GUARANTEES:
        producer = worker.client.create_producer(
            topic(guarantee, "in"), batching_enabled=True, block_if_queue_full=True
        )
        for payload in payloads:
            producer.send_async(payload, None)
        producer.flush()
        producer.close()


def stats(worker: Standalone, name: str) -> dict[str, Any]:
    found: dict[str, Any] = worker.http.get(f"/admin/v2/{name.replace('://', '/')}/stats").raise_for_status().json()
    return found


def left(worker: Standalone) -> int:
    """How many inputs nobody has acknowledged."""
    return sum(
        stats(worker, each)["subscriptions"][guarantee]["msgBacklog"]
        for guarantee in GUARANTEES
        for each in partitions(topic(guarantee, "in"))
    )


def until(condition: Callable[[], bool]) -> None:
    """Wait for something, whatever fails to answer meanwhile: what is asked was killed a moment ago."""
    ends = time.monotonic() + DEADLINE
    while time.monotonic() < ends:
        with contextlib.suppress(httpx.HTTPError, KeyError):
            if condition():
                return
        time.sleep(0.05)
    pytest.fail(f"{condition.__name__} did not come true within {DEADLINE:g} s")


def results(worker: Standalone, guarantee: str) -> int:
    return sum(int(stats(worker, each)["msgInCounter"]) for each in partitions(topic(guarantee, "out")))


def put_to_work(worker: Standalone, payloads: list[bytes]) -> None:
    """Send inputs and wait until both functions have given some results."""
    before = {guarantee: results(worker, guarantee) for guarantee in GUARANTEES}
    produce(worker, payloads)

    def grown() -> bool:
        now = {guarantee: results(worker, guarantee) for guarantee in GUARANTEES}
        return all(now[guarantee] >= before[guarantee] + 100 for guarantee in GUARANTEES)

    until(grown)


def killed(worker: Standalone, number: int) -> str:
    """Kill an instance, the broker or the worker by turns; returns which."""
    kind = ("instance", "broker", "worker")[number % 3]
    if kind == "worker":
        worker.stop(signal.SIGKILL)
        worker.start()
    elif kind == "broker":
        (broker,) = [each for each in worker.children() if "magnetar_broker" in " ".join(each.cmdline())]
        broker.kill()
    else:
        guarantee = GUARANTEES[number // 3 % 2].lower()
        path = f"/magnetar/v1/instances/public/default/{guarantee}/{number // 6 % 2}"
        pid: list[int] = []
        until(lambda: bool(pid.append(worker.http.get(path).json()["pid"]) or pid[-1]))
        psutil.Process(pid[-1]).kill()
    return kind


def contents(worker: Standalone, name: str) -> Counter[bytes]:
    found: Counter[bytes] = Counter()
    for each in partitions(name):
        reader = worker.client.create_reader(each, pulsar.MessageId.earliest)
        while reader.has_message_available():
            found[reader.read_next(30_000).data()] += 1
        reader.close()
    return found


def test_nothing_is_lost_and_nothing_doubled_where_it_must_not_be(worker: Standalone) -> None:
    """Every input has its result; with EFFECTIVELY_ONCE exactly one, batched and partitioned as all is."""
    assert worker.http.put(f"/admin/v2/namespaces/{SPACE}", json={}).is_success
    assert worker.http.post(f"/admin/v2/namespaces/{SPACE}/deduplication", json=True).is_success
    # All is counted in the end, what was acknowledged and what nobody subscribed to as well.
    keep = {"retentionTimeInMinutes": -1, "retentionSizeInMB": -1}
    assert worker.http.post(f"/admin/v2/namespaces/{SPACE}/retention", json=keep).is_success
    for guarantee in GUARANTEES:
        create(worker, guarantee)
    payloads = (b"m%06d" % number for number in range(1_000_000))
    kills: Counter[str] = Counter()
    for number in range(KILLS):
        until(lambda: left(worker) < 20_000)
        put_to_work(worker, list(islice(payloads, 4_000)))
        kills[killed(worker, number)] += 1
    until(lambda: left(worker) == 0)
    counts = {each: (contents(worker, topic(each, "in")), contents(worker, topic(each, "out"))) for each in GUARANTEES}
    report = {each: {"in": sent.total(), "out": given.total()} for each, (sent, given) in counts.items()}
    print(json.dumps({"kills": kills, **report}))
    assert all(sent.total() >= 4_000 * KILLS for sent, _ in counts.values())
    sent, given = counts["ATLEAST_ONCE"]
    assert not sent - given
    sent, given = counts["EFFECTIVELY_ONCE"]
    assert (sent - given, given - sent) == (Counter(), Counter())
