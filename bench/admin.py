"""The admin API with a thousand functions: how many a second, how long a read takes, what the worker weighs.

The functions are stopped as soon as they are made, so that what is measured is the API, not a thousand processes.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil

from bench.functions import ECHO, Parts, standalone
from bench.report import Figure

FUNCTIONS = 1000
READS = 1000
CLIENTS = 4
BASE = "/admin/v3/functions/public/default"


def measure(arguments: Sequence[str]) -> list[Figure]:
    """Run a worker of its own and return the figures; `--functions` and `--reads` say how many."""
    parser = argparse.ArgumentParser(prog="scripts/bench admin")
    parser.add_argument("--functions", type=int, default=FUNCTIONS)
    parser.add_argument("--reads", type=int, default=READS)
    options = parser.parse_known_args(arguments)[0]
    count, reads = options.functions, options.reads
    with TemporaryDirectory(prefix="magnetar-bench-") as folder, standalone(Path(folder)) as (addresses, _seconds):
        limits = httpx.Limits(max_connections=CLIENTS)
        with httpx.Client(base_url=addresses["http"], timeout=60, limits=limits) as http:
            made = create_all(http, count)
            memory = psutil.Process(addresses["pid"]).memory_info().rss / 2**20
            names = [f"f{number}" for number in range(count)]
            get, get_ms = read(lambda name: http.get(f"{BASE}/{name}"), names, reads)
            status, status_ms = read(lambda name: http.get(f"{BASE}/{name}/status"), names, reads)
            listed, listed_ms = read(lambda _: http.get(BASE), names, reads)
            after = psutil.Process(addresses["pid"]).memory_info().rss / 2**20
    return [
        Figure(f"create, up to {count} functions", (made,), "a second", ""),
        Figure("get", (get,), "a second", ""),
        Figure("get, each", get_ms, "ms", "p99 < 50"),
        Figure("status", (status,), "a second", ""),
        Figure("status, each", status_ms, "ms", "p99 < 50"),
        Figure(f"list of {count}", (listed,), "a second", ""),
        Figure(f"list of {count}, each", listed_ms, "ms", "p99 < 50"),
        Figure("memory of the worker with the functions", (memory,), "MiB", "< 150"),
        Figure("memory of the worker after the reads", (after,), "MiB", "< 150"),
    ]


def create_all(http: httpx.Client, count: int) -> float:
    """Create and stop the functions; returns how many were created a second, without the time that stopping took."""
    stopping = 0.0
    began = time.monotonic()
    for number in range(count):
        config = {"runtime": "PYTHON", "className": "echo", "inputs": [f"in-{number}"], "parallelism": 1}
        parts: Parts = {"functionConfig": (None, json.dumps(config)), "data": ("echo.py", ECHO)}
        http.post(f"{BASE}/f{number}", files=parts).raise_for_status()
        asked = time.monotonic()
        http.post(f"{BASE}/f{number}/stop").raise_for_status()
        stopping += time.monotonic() - asked
    return count / (time.monotonic() - began - stopping)


def read(ask: Callable[[str], httpx.Response], names: Sequence[str], count: int) -> tuple[float, tuple[float, ...]]:
    """Read by several clients at once; returns how many reads a second, and how long each took in milliseconds."""

    def one(name: str) -> float:
        began = time.monotonic()
        ask(name).raise_for_status()
        return (time.monotonic() - began) * 1000

    def again() -> Iterator[str]:
        while True:
            yield from names

    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as pool:
        took = tuple(pool.map(one, islice(again(), count)))
    return count / (time.monotonic() - began), took
