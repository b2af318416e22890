"""A Java instance up to its first output: by Pulsar's own command line, and with what Magnetar puts before it."""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psutil
import pulsar
from magnetar.model import FunctionConfig, infer, to_details
from magnetar.processes.ports import Ports
from magnetar.runtimes.base import InstanceSpec
from magnetar.runtimes.process.java import JavaLanguage, quick_start
from magnetar.runtimes.process.launch import Launch, Place
from magnetar.runtimes.process.settings import ProcessSettings
from magnetar_broker.testing import running_broker
from toolchains import java_examples, java_settings

from bench.functions import probe
from bench.report import Figure

ROUNDS = 5
HEAP = 2**30
"""Pulsar's default of `resources.ram`."""


@dataclass(frozen=True)
class Start:
    """What one start cost up to its first output."""

    milliseconds: float
    processor: float
    memory: float


def measure(_: Sequence[str]) -> list[Figure]:
    """Start instances by both ways in turns, against a broker of its own; Pulsar's Java instance is fetched."""
    found: dict[str, list[Start]] = {"Pulsar's command": [], "Magnetar's": []}
    with TemporaryDirectory(prefix="magnetar-bench-") as folder, running_broker() as broker:
        client = pulsar.Client(broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
        for _round in range(ROUNDS):
            for way, starts in found.items():
                starts.append(_start(client, broker.service_url, Path(folder), plain=way.startswith("Pulsar")))
        client.close()
    return [figure for way, starts in found.items() for figure in _figures(way, starts)]


def _figures(way: str, starts: Sequence[Start]) -> list[Figure]:
    return [
        Figure(f"{way}: start to first output", tuple(each.milliseconds for each in starts), "ms"),
        Figure(f"{way}: processor time until then", tuple(each.processor for each in starts), "ms"),
        Figure(f"{way}: own memory then", tuple(each.memory for each in starts), "MiB"),
    ]


def _start(client: pulsar.Client, service_url: str, folder: Path, *, plain: bool) -> Start:
    name = f"f{uuid4().hex[:8]}"
    launch = _launch(name, service_url, folder, plain=plain)
    consumer = client.subscribe(f"{name}-out", "bench")
    producer = client.create_producer(f"{name}-in", batching_enabled=False)
    began = time.monotonic()
    with _process(launch) as process:

        def look() -> None:
            if process.poll() is not None:
                raise SystemExit(f"the instance ended: {launch.output.read_text()}")

        probe(producer, consumer, look)
        taken = time.monotonic() - began
        seen = psutil.Process(process.pid)
        times, memory = seen.cpu_times(), seen.memory_full_info().uss
    consumer.close()
    producer.close()
    return Start(taken * 1000, (times.user + times.system) * 1000, memory / 2**20)


def _launch(name: str, service_url: str, folder: Path, *, plain: bool) -> Launch:
    settings, java = ProcessSettings(service_url, "bench", folder, os.environ), java_settings()
    config = {
        "tenant": "public",
        "namespace": "default",
        "name": name,
        "jar": "functions.jar",
        "className": "examples.Reverse",
        "inputs": [f"{name}-in"],
        "output": f"{name}-out",
        "resources": {"ram": HEAP},
    }
    details = to_details(infer(FunctionConfig.model_validate(config)))
    port, metrics_port = Ports().take(2)
    place = Place(java_examples(), port, metrics_port, folder / f"{name}-0.log")
    java = replace(java, timed_output=not plain)
    launch = JavaLanguage(settings, java).launch(InstanceSpec(details, 0, place.package, "bench", "bench"), place)
    ours = quick_start(java.archive(java.find()), (), HEAP) if plain else []
    return Launch([each for each in launch.argv if each not in ours], launch.environment, launch.output)


@contextmanager
def _process(launch: Launch) -> Iterator["subprocess.Popen[bytes]"]:
    with (
        launch.output.open("wb") as output,
        subprocess.Popen(launch.argv, env=dict(launch.environment), stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        try:
            yield process
        finally:
            process.kill()
