"""What a thousand functions in Kubernetes cost: to submit them, to find them again, and to have them."""

import argparse
import json
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import psutil
from kube.bed import HERE, Bed, Room
from kube.functions import function, reach, runtime
from magnetar.lifecycle import Phase
from magnetar.runtimes.base import FunctionSpec
from magnetar.runtimes.kubernetes.runtime import KubernetesRuntime

from bench.report import Figure

_IDLE_SECONDS = 30.0
_PATIENCE = 1800


def measure(rest: Sequence[str]) -> list[Figure]:
    """Submit functions of one pod each to an API server of our own and return the figures; `--functions N` says how many."""
    parser = argparse.ArgumentParser(prog="scripts/bench kubernetes")
    parser.add_argument("--functions", type=int, default=1000)
    count = parser.parse_args(rest).functions
    with TemporaryDirectory(prefix="magnetar-bench-") as folder, bed(Path(folder)) as found:
        found.kubectl("create", "namespace", "bench")
        return anyio.run(_measure, found, count)


@contextmanager
def bed(folder: Path) -> Iterator[Bed]:
    """Run an API server, a scheduler and controllers that write down each request of ours."""
    binary = subprocess.run([HERE / "up", "--build-only"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    command: list[str | Path] = [HERE / "up", "--foreground", "--audit", "--data", folder / "bed"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            process.stdout.readline()
            yield Bed(folder / "bed", Path(binary))
        finally:
            process.terminate()
            process.wait(60)


async def _measure(found: Bed, count: int) -> list[Figure]:
    specs = [function(f"f{number:04}", parallelism=1) for number in range(count)]
    room, memory = Room(found, "bench"), psutil.Process().memory_full_info().uss
    with anyio.fail_after(_PATIENCE):
        async with runtime(room) as kubernetes:
            submitted, running = await submit(kubernetes, specs)
        async with runtime(room) as kubernetes:
            _, again = await submit(kubernetes, specs)
            before = requests(found)
            await anyio.sleep(_IDLE_SECONDS)
            idle = (requests(found) - before) / _IDLE_SECONDS
            held = (psutil.Process().memory_full_info().uss - memory) / 2**20
    return [
        Figure(f"{count} functions: submitted for the first time", (submitted,), "s"),
        Figure(f"{count} functions: until every pod runs", (running,), "s"),
        Figure(f"{count} functions: found again after a restart", (again,), "s"),
        Figure(f"{count} functions: memory of the runtime, both times", (held,), "MiB", "< 200"),
        Figure(f"{count} functions: requests when idle", (idle,), "1/s", "a handful"),
    ]


async def submit(kubernetes: KubernetesRuntime, specs: Sequence[FunctionSpec]) -> tuple[float, float]:
    """Return the seconds until all are submitted, and until all run."""
    began = time.monotonic()
    async with anyio.create_task_group() as tasks:
        for spec in specs:
            tasks.start_soon(kubernetes.submit, spec)
    submitted = time.monotonic() - began
    for spec in specs:
        await reach(kubernetes, spec, Phase.RUNNING)
    return submitted, time.monotonic() - began


def requests(found: Bed) -> int:
    """Return how many requests the API server has answered; watches count as they end."""
    with (found.folder / "log" / "audit.jsonl").open() as lines:
        return sum(json.loads(line)["stage"] == "ResponseComplete" for line in lines)
