"""How far one host goes: real Python instances under `magnetar standalone`, idle, killed and stopped.

`scripts/bench host [--instances=N,N] [--kills=N] [--idle=SECONDS]`: a worker of its own for each count.
"""

import os
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
import pulsar
from supervised import client_of

from bench.functions import PROBE_EVERY_MS, create, probe, standalone
from bench.processes import resident, shares
from bench.report import Figure

COUNTS, KILLS, IDLE, SETTLE = (100,), 30, 20.0, 5.0
START_LIMIT, STOP_LIMIT, COME_BACK = 120.0, 60.0, 30.0
ASK_AFTER = 5
"""Until it is asked again, so many times as long as the answer took."""


@dataclass(frozen=True)
class Host:
    """A worker that runs, with the processes of its own: itself, its launcher and its zygotes; the broker is apart."""

    http: httpx.Client
    worker: psutil.Process

    @property
    def supervisor(self) -> list[psutil.Process]:
        """The worker and what it runs to start others."""
        instances = {each["pid"] for each in self.instances()}
        starters = (each for each in self._children() if _module(each) in {"spawner", "zygote"})
        return [self.worker, *(each for each in starters if each.pid not in instances)]

    @property
    def broker(self) -> list[psutil.Process]:
        """The embedded broker."""
        return [each for each in self._children() if "magnetar_broker" in " ".join(each.cmdline())]

    def _children(self) -> list[psutil.Process]:
        return self.worker.children(recursive=True)

    def instances(self) -> list[dict[str, Any]]:
        """Return the instances as REST tells them."""
        found: list[dict[str, Any]] = self.http.get("/magnetar/v1/instances").raise_for_status().json()
        return found

    def until_running(self, count: int) -> float:
        """Wait until so many run; returns the seconds that took."""
        began = asked = time.monotonic()
        while asked < began + START_LIMIT:
            found = self.instances()
            answered = time.monotonic()
            if len(found) == count and all(each["phase"] == "running" for each in found):
                return answered - began
            # An answer takes the longer the more there are, of the processors that they start on.
            time.sleep(max(0.1, ASK_AFTER * (answered - asked)))
            asked = time.monotonic()
        raise SystemExit(f"not all of {count} instances ran after {START_LIMIT:g} s: {_phases(self.instances())}")


def measure(rest: Sequence[str]) -> list[Figure]:
    """Measure each count of instances that is asked for."""
    counts = [int(each) for each in _option(rest, "instances", ",".join(map(str, COUNTS))).split(",")]
    kills, idle = int(_option(rest, "kills", str(KILLS))), float(_option(rest, "idle", str(IDLE)))
    figures = []
    for count in counts:
        rows = _of(count, kills, idle)
        figures += [Figure(f"{count} instances: {what}", samples, unit, goal) for what, samples, unit, goal in rows]
    return figures


def _option(rest: Sequence[str], name: str, default: str) -> str:
    return next((each.partition("=")[2] for each in rest if each.startswith(f"--{name}=")), default)


Row = tuple[str, tuple[float, ...], str, str]


def _of(count: int, kills: int, idle: float) -> list[Row]:
    with (
        TemporaryDirectory(prefix="magnetar-bench-", ignore_cleanup_errors=True) as folder,
        standalone(Path(folder)) as (addresses, _seconds),
        client_of(addresses["broker"]) as client,
        httpx.Client(base_url=addresses["http"], timeout=120) as http,
    ):
        host = Host(http, psutil.Process(addresses["pid"]))
        host.instances()
        time.sleep(SETTLE)
        (without,) = shares((host.supervisor,), idle)
        memory_without, free = resident(host.supervisor), _free()
        create(http, "many", "process", {"inputs": ["in"], "output": "out", "parallelism": count})
        rows: list[Row] = [("all run, from create", (host.until_running(count),), "s", _goal(count, 100, "<= 2"))]
        time.sleep(SETTLE)
        own = tuple(psutil.Process(each["pid"]).memory_full_info().uss / 2**20 for each in host.instances())
        rows.append(("own memory of an instance (USS)", own, "MiB", "<= 14"))
        rows.append(("free memory that each took", ((free - _free()) / count / 2**20,), "MiB", ""))
        rows += _idle(host, idle, without, memory_without)
        if kills:
            rows.append(("kill -9 to its next processed message", _outages(host, client, kills), "ms", "p50 <= 150"))
        rows.append(("all ended, from SIGTERM", (_stop(host),), "s", _goal(count, 100, "<= 1")))
    return rows


def _goal(count: int, of: int, goal: str) -> str:
    return goal if count == of else ""


def _idle(host: Host, seconds: float, without: float, memory_without: float) -> list[Row]:
    pids = [psutil.Process(each["pid"]) for each in host.instances()]
    supervisor, broker, instances = shares((host.supervisor, host.broker, pids), seconds)
    more = (resident(host.supervisor) - memory_without) / 2**20
    return [
        ("the supervisor idle", (supervisor,), "% of a core", ""),
        ("the supervisor idle, above the same without", (supervisor - without,), "% of a core", "<= 0.1"),
        ("the supervisor's memory above the same without (RSS)", (more,), "MiB", "<= 20"),
        ("an instance idle", (instances / len(pids),), "% of a core", ""),
        ("the embedded broker idle", (broker,), "% of a core", ""),
    ]


def _free() -> int:
    return int(psutil.virtual_memory().available)


def _outages(host: Host, client: pulsar.Client, kills: int) -> tuple[float, ...]:
    """Kill an instance of each of so many functions: a second death of the same one would wait by the restart policy."""
    return tuple(_outage(host, client, f"killed-{number}") for number in range(kills))


def _outage(host: Host, client: pulsar.Client, name: str) -> float:
    """Return the milliseconds from a kill to the arrival of the first output that the next process made."""
    consumer = client.subscribe(f"{name}-out", "bench")
    producer = client.create_producer(f"{name}-in", batching_enabled=False)
    create(host.http, name, "process", {"inputs": [f"{name}-in"], "output": f"{name}-out"})
    probe(producer, consumer)
    pid = _pid(host, f"public/default/{name}")
    time.sleep(random.uniform(0.3, 0.6))
    killed = time.monotonic()
    mark = str(killed).encode()
    os.kill(pid, signal.SIGKILL)
    while True:
        # What was sent after the kill, only the next process can have seen.
        producer.send_async(mark, lambda *_: None)
        try:
            message = consumer.receive(PROBE_EVERY_MS)
        except pulsar.Timeout:
            continue
        if message.data() == mark:
            break
    took = (time.monotonic() - killed) * 1000
    producer.flush()
    consumer.close()
    producer.close()
    host.http.delete(f"/admin/v3/functions/public/default/{name}").raise_for_status()
    return took


def _pid(host: Host, fqfn: str) -> int:
    deadline = time.monotonic() + COME_BACK
    while time.monotonic() < deadline:
        for each in host.instances():
            if each["fqfn"] == fqfn and each["phase"] == "running":
                return int(each["pid"])
        time.sleep(0.02)
    raise SystemExit(f"{fqfn} did not run within {COME_BACK:g} s")


def _stop(host: Host) -> float:
    """End the worker; return the seconds until the last instance has ended."""
    # Those that the kills were measured with were deleted, and may just be ending.
    instances = [psutil.Process(each["pid"]) for each in host.instances() if each["fqfn"] == "public/default/many"]
    began = time.monotonic()
    host.worker.terminate()
    _, left = psutil.wait_procs(instances, timeout=STOP_LIMIT)
    return float("inf") if left else time.monotonic() - began


def _module(process: psutil.Process) -> str:
    """Return the last part of the module that a process runs."""
    command = process.cmdline()
    return command[command.index("-m") + 1].rpartition(".")[2] if "-m" in command else ""


def _phases(instances: Sequence[dict[str, Any]]) -> str:
    return ", ".join(f"{phase} {count}" for phase, count in _counted(instances))


def _counted(instances: Sequence[dict[str, Any]]) -> list[tuple[str, int]]:
    phases = [str(each["phase"]) for each in instances]
    return [(phase, phases.count(phase)) for phase in sorted(set(phases))]
