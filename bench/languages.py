"""The same function in Python, Java and Go under one worker: first output, start's cost, memory, throughput, latency."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
import pulsar
from supervised import client_of
from toolchains import CACHE, java_installation

from bench.functions import Parts, probe, standalone
from bench.report import Figure

ROOT = Path(__file__).parents[1]
PYTHON = b"def process(input):\n    return input[::-1]\n"
STARTS = 3
MESSAGES = 20_000
ROUNDS = 3
SINGLES = 300
PAYLOAD = b"x" * 100


@dataclass(frozen=True)
class Language:
    """How the function is built and created in one language."""

    file: str
    content: Callable[[Path], bytes]
    config: dict[str, Any]
    needs: tuple[str, ...] = ()


def _java(_: Path) -> bytes:
    folder = ROOT / "examples" / "java"
    subprocess.run(["mvn", "-q", "-B", "-ntp", "package"], cwd=folder, check=True)
    return (folder / "target" / "functions.jar").read_bytes()


def _go(folder: Path) -> bytes:
    program = folder / "reverse"
    subprocess.run(["go", "build", "-o", program, "./reverse"], cwd=ROOT / "examples" / "go", check=True)
    return program.read_bytes()


LANGUAGES = {
    "Python": Language("reverse.py", lambda _: PYTHON, {"py": "reverse.py", "className": "reverse"}),
    "Java": Language("f.jar", _java, {"jar": "f.jar", "className": "examples.Reverse"}, ("java", "mvn")),
    "Go": Language("reverse", _go, {"go": "reverse", "runtime": "GO"}, ("go",)),
}


def measure(_: Sequence[str]) -> list[Figure]:
    """Run a worker of its own; a language whose tools are missing is left out, Pulsar's Java instance is fetched."""
    present = {name: how for name, how in LANGUAGES.items() if all(shutil.which(tool) for tool in how.needs)}
    if "Java" in present:
        java_installation()
        os.environ["MAGNETAR_CACHE"] = str(CACHE)
    with TemporaryDirectory(prefix="magnetar-bench-") as name:
        contents = {language: how.content(Path(name)) for language, how in present.items()}
        with (
            standalone(Path(name)) as (addresses, _seconds),
            client_of(addresses["broker"]) as client,
            httpx.Client(base_url=addresses["http"], timeout=120) as http,
        ):
            benches = (_Bench(http, client, each, how, contents[each]) for each, how in present.items())
            return [figure for bench in benches for figure in bench.figures()]


class _Bench:
    """One language on the worker."""

    def __init__(self, http: httpx.Client, client: pulsar.Client, language: str, how: Language, content: bytes) -> None:
        self._http = http
        self._client = client
        self._language = language
        self._how = how
        self._content = content

    def figures(self) -> list[Figure]:
        starts = [self._start(f"{self._language.lower()}{number}") for number in range(STARTS)]
        name = f"{self._language.lower()}{STARTS - 1}"
        idle = self._memory(name)
        rates = tuple(self._rate(name) for _ in range(ROUNDS))
        singles = self._latencies(name)
        busy = self._memory(name)
        for number in range(STARTS):
            self._http.delete(f"/admin/v3/functions/public/default/{self._language.lower()}{number}")
        return [
            self._figure("create to first output", [start[0] for start in starts], "ms"),
            self._figure("processor time until then", [start[1] for start in starts], "ms"),
            self._figure("own memory, idle", [idle], "MiB"),
            self._figure(f"own memory after {ROUNDS * MESSAGES} messages", [busy], "MiB"),
            self._figure("throughput", rates, "messages/s"),
            self._figure("latency of single messages", singles, "ms"),
        ]

    def _figure(self, what: str, samples: Sequence[float], unit: str) -> Figure:
        return Figure(f"{self._language}: {what}", tuple(samples), unit)

    def _start(self, name: str) -> tuple[float, float]:
        """Return milliseconds of time and of processor time from the create request to the first output."""
        consumer = self._client.subscribe(f"{name}-out", "bench")
        producer = self._client.create_producer(f"{name}-in", batching_enabled=False)
        began = time.monotonic()
        self._create(name)
        probe(producer, consumer)
        taken = (time.monotonic() - began) * 1000
        times = psutil.Process(self._pid(name)).cpu_times()
        consumer.close()
        producer.close()
        return taken, (times.user + times.system) * 1000

    def _create(self, name: str) -> None:
        topics = {"inputs": [f"{name}-in"], "output": f"{name}-out"}
        config = json.dumps({**topics, **self._how.config})
        parts: Parts = {"functionConfig": (None, config, "application/json"), "data": (self._how.file, self._content)}
        answer = self._http.post(f"/admin/v3/functions/public/default/{name}", files=parts)
        if answer.is_error:
            raise SystemExit(f"{self._language}: {answer.text}")

    def _pid(self, name: str) -> int:
        views = self._http.get("/magnetar/v1/instances").json()
        return next(int(each["pid"]) for each in views if each["fqfn"] == f"public/default/{name}")

    def _memory(self, name: str) -> float:
        return psutil.Process(self._pid(name)).memory_full_info().uss / 2**20

    def _rate(self, name: str) -> float:
        consumer = self._client.subscribe(f"{name}-out", f"bench-{os.urandom(4).hex()}")
        producer = self._client.create_producer(f"{name}-in", batching_enabled=True, block_if_queue_full=True)
        began = time.monotonic()
        for _ in range(MESSAGES):
            producer.send_async(PAYLOAD, lambda *_: None)
        for _ in range(MESSAGES):
            consumer.acknowledge(consumer.receive(60_000))
        rate = MESSAGES / (time.monotonic() - began)
        consumer.unsubscribe()
        producer.close()
        return rate

    def _latencies(self, name: str) -> tuple[float, ...]:
        consumer = self._client.subscribe(f"{name}-out", f"bench-{os.urandom(4).hex()}")
        producer = self._client.create_producer(f"{name}-in", batching_enabled=False)
        samples = []
        for _ in range(SINGLES):
            began = time.monotonic()
            producer.send(PAYLOAD)
            consumer.acknowledge(consumer.receive(60_000))
            samples.append((time.monotonic() - began) * 1000)
        consumer.unsubscribe()
        producer.close()
        return tuple(samples)
