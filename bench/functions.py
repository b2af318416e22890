"""From create to the first message out, in a process and in a thread; and what 200 idle thread functions cost."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
import pulsar

from bench.report import Figure

Parts = dict[str, tuple[str | None, bytes | str] | tuple[str | None, bytes | str, str | None]]
"""What is sent as the parts of a form."""
ECHO = b"def process(input):\n    return input\n"
ROUNDS = 15
IDLE_FUNCTIONS = 200
IDLE_SECONDS = 10.0
PROBE_EVERY_MS = 5


def measure(_: Sequence[str]) -> list[Figure]:
    """Run a worker of its own and return the figures."""
    with TemporaryDirectory(prefix="magnetar-bench-") as folder:
        started, first_outputs = [], {}
        with standalone(Path(folder)) as (addresses, seconds):
            started.append(seconds * 1000)
            client = pulsar.Client(addresses["broker"], logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
            with httpx.Client(base_url=addresses["http"], timeout=60) as http:
                for runtime in ("process", "thread"):
                    warm_up(http, client, runtime)
                    first_outputs[runtime] = tuple(
                        first_output(http, client, runtime, f"{runtime}-{number}") for number in range(ROUNDS)
                    )
                idle = idle_cost(http, addresses["pid"])
            client.close()
    return [
        Figure("standalone: exec to ready, empty data directory", tuple(started), "ms", "< 2000"),
        Figure("create to first output, process from a zygote", first_outputs["process"], "ms", "p50 < 200"),
        Figure("create to first output, thread", first_outputs["thread"], "ms", "p50 < 50"),
        Figure(f"{IDLE_FUNCTIONS} idle thread functions", (idle,), "% of a core", "<= 10"),
    ]


@contextmanager
def standalone(folder: Path) -> Iterator[tuple[dict[str, Any], float]]:
    """Run `magnetar standalone` on free ports; gives its addresses and the seconds until its ready line."""
    began = time.monotonic()
    command = ["magnetar", "standalone", "--data-dir", str(folder / "data"), "--format", "json"]
    for port in ("--http-port", "--broker-port", "--health-port", "--metrics-port"):
        command += [port, "0"]
    with (folder / "worker.log").open("w") as log, Popen(command, stdout=PIPE, stderr=log, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline()), time.monotonic() - began
        finally:
            process.terminate()


def create(http: httpx.Client, name: str, runtime: str, config: dict[str, Any]) -> None:
    """Create an echo function."""
    options = json.dumps({"magnetar": {"runtime": runtime}})
    whole = {"className": "echo", "runtime": "PYTHON", "py": "echo.py", "customRuntimeOptions": options, **config}
    parts: Parts = {"functionConfig": (None, json.dumps(whole), "application/json"), "data": ("echo.py", ECHO)}
    http.post(f"/admin/v3/functions/public/default/{name}", files=parts).raise_for_status()


def probe(producer: pulsar.Producer, consumer: pulsar.Consumer, silent: Callable[[], None] = lambda: None) -> None:
    """Send a message every 5 ms until one comes out, and acknowledge it; `silent` is called while none does."""
    while True:
        producer.send(b"probe")
        try:
            message = consumer.receive(PROBE_EVERY_MS)
        except pulsar.Timeout:
            silent()
        else:
            consumer.acknowledge(message)
            return


def warm_up(http: httpx.Client, client: pulsar.Client, runtime: str) -> None:
    """Run one function to its first output, so that what is made once is there."""
    first_output(http, client, runtime, f"{runtime}-warm-up")


def first_output(http: httpx.Client, client: pulsar.Client, runtime: str, name: str) -> float:
    """Return the milliseconds from the create request to the first output of a message sent every 5 ms."""
    consumer = client.subscribe(f"{name}-out", "bench")
    producer = client.create_producer(f"{name}-in", batching_enabled=False)
    began = time.monotonic()
    create(http, name, runtime, {"inputs": [f"{name}-in"], "output": f"{name}-out"})
    probe(producer, consumer)
    took = (time.monotonic() - began) * 1000
    consumer.close()
    producer.close()
    http.delete(f"/admin/v3/functions/public/default/{name}").raise_for_status()
    return took


def idle_cost(http: httpx.Client, pid: int) -> float:
    """Return the share of a core that a worker with idle thread functions takes, in percent."""
    for number in range(IDLE_FUNCTIONS):
        create(http, f"idle-{number}", "thread", {"inputs": [f"idle-{number}-in"]})
    while not all_running(http):
        time.sleep(0.2)
    worker = psutil.Process(pid)
    before = worker.cpu_times()
    time.sleep(IDLE_SECONDS)
    after = worker.cpu_times()
    return (after.user + after.system - before.user - before.system) / IDLE_SECONDS * 100


def all_running(http: httpx.Client) -> bool:
    """Whether every idle function is subscribed."""
    instances = http.get("/magnetar/v1/instances").raise_for_status().json()
    idle = [each for each in instances if "/idle-" in each["fqfn"]]
    return len(idle) == IDLE_FUNCTIONS and all(each["phase"] == "running" for each in idle)
