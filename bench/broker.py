"""The broker's figures: rates and latencies with the Python and Java clients, memory, start; Pulsar's beside them."""

import argparse
import shutil
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import psutil
from magnetar_broker.testing import running_broker
from pulsar_bed.bed import Standalone, set_up
from raw_client import MIB

from bench.broker_load.alone import backlog, idle_topics
from bench.broker_load.clients import JavaLoad, Load, PythonLoad
from bench.report import Figure

_CLIENTS: dict[str, Callable[[str], Load]] = {"java": JavaLoad, "python": PythonLoad}
_SIZES = (100, 1024)
_WARM_UPS = 4
_STARTS = 5


@dataclass(frozen=True)
class Served:
    """A broker under load, and the seconds that it took to start."""

    name: str
    url: str
    pid: int
    started: float

    @property
    def memory(self) -> float:
        """Its resident memory in MiB."""
        return psutil.Process(self.pid).memory_info().rss / MIB


def measure(arguments: Sequence[str]) -> list[Figure]:
    """Run the loads against a fresh broker, and when asked against a Pulsar in turns with it."""
    parser = argparse.ArgumentParser(prog="scripts/bench broker")
    parser.add_argument("--messages", type=int, default=60_000, help="of each run in batches; single ones: half of it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", nargs="+", choices=("java", "python", "none"), default=_available())
    parser.add_argument("--only", choices=("rates", "latencies"), help="of what is measured with the clients")
    parser.add_argument(
        "--sizes", nargs="+", type=int, choices=_SIZES, default=_SIZES, help="of the messages, in bytes"
    )
    parser.add_argument(
        "--pulsar",
        nargs="?",
        const="shipped",
        choices=("shipped", "synced"),
        help="hold it against a Pulsar standalone as it is shipped, which does not sync its journal, or one that does",
    )
    options = parser.parse_args(arguments)
    clients = [name for name in options.clients if name != "none"]
    figures: list[Figure] = []
    if clients:
        with _served(options.pulsar) as served:
            for name in clients:
                figures += _with_client(_CLIENTS[name], served, options)
            if len(served) > 1:
                figures += _sizes_of_processes(served)
    if not clients or (clients == _available() and not options.only):
        figures += [*_start(), *backlog(1_000_000), *idle_topics(10_000)]
    return figures


def _available() -> list[str]:
    return ["java", "python"] if shutil.which("java") and shutil.which("mvn") else ["python"]


@contextmanager
def _served(pulsar: str | None) -> Iterator[list[Served]]:
    """Run a broker, and a Pulsar where one is wanted."""
    with ExitStack() as stack:
        before = time.perf_counter()
        broker = stack.enter_context(running_broker())
        served = [Served("magnetar", broker.service_url, broker.pid, time.perf_counter() - before)]
        if pulsar:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="magnetar-bench-"))
            standalone = Standalone(set_up(), Path(folder), synced=pulsar == "synced")
            stack.callback(standalone.stop)
            before = time.perf_counter()
            standalone.start(worker=False)
            taken = time.perf_counter() - before
            served.append(Served("pulsar", standalone.addresses.service_url, standalone.pid, taken))
        yield served


def _with_client(
    make: Callable[[str], Load], served: Sequence[Served], options: argparse.Namespace
) -> Iterator[Figure]:
    """Run each load on each broker in turns, so that what else the machine does falls on all alike."""
    loads = {each.name: make(each.url) for each in served}
    try:
        for load in loads.values():
            _warm_up(load, options.messages)
        if options.only != "latencies":
            for size, batched in product(options.sizes, (True, False)):
                messages = options.messages if batched else options.messages // 2
                yield from _rates(loads, messages, size, options.rounds, batched=batched)
        if options.only != "rates":
            for rate, size, batched in product((200, 2000), options.sizes, (True, False)):
                yield from _latencies(loads, size, rate, batched=batched)
    finally:
        for load in loads.values():
            load.close()


def _warm_up(load: Load, messages: int) -> None:
    """Let the virtual machines compile what they run: of a cold client or Pulsar the first second is ten times slower."""
    for _ in range(_WARM_UPS):
        for batched in (True, False):
            load.pipe(_topic(), messages if batched else messages // 2, 100, batched=batched)
            load.latencies(_topic(), 500, 100, 2000, batched=batched)


def _rates(loads: Mapping[str, Load], messages: int, size: int, rounds: int, *, batched: bool) -> Iterator[Figure]:
    samples: dict[str, dict[str, list[float]]] = {}
    order = list(loads.items())
    for _ in range(rounds):
        for name, load in order:
            topic = _topic()
            for what, found in (
                ("publish", load.publish(topic, messages, size, batched=batched)),
                ("consume", load.consume(topic, messages)),
                ("in to out", load.pipe(_topic(), messages, size, batched=batched)),
            ):
                samples.setdefault(what, {}).setdefault(name, []).append(found / 1000)
        order.reverse()  # who is first finds the client colder
    client = next(iter(loads.values())).name
    for what, found_all in samples.items():
        yield _beside(f"{client} {what}, {size} B, {_how(batched=batched)}", found_all, "1000/s")


def _latencies(loads: Mapping[str, Load], size: int, rate: int, *, batched: bool) -> Iterator[Figure]:
    """Measure for three seconds with each broker, after a half that does not count."""
    client = next(iter(loads.values())).name
    uncounted = rate // 2
    taken = {
        name: sorted(load.latencies(_topic(), uncounted + rate * 3, size, rate, batched=batched)[uncounted:])
        for name, load in loads.items()
    }
    for share, word in ((0.5, "p50"), (0.99, "p99")):
        found = {name: [ordered[int(len(ordered) * share)]] for name, ordered in taken.items()}
        yield _beside(f"{client} {rate}/s, {size} B, {_how(batched=batched)}, {word}", found, "ms")


def _sizes_of_processes(served: Sequence[Served]) -> Iterator[Figure]:
    yield _beside("start to ready", {each.name: [each.started] for each in served}, "s")
    yield _beside("memory after the loads", {each.name: [each.memory] for each in served}, "MiB")


def _beside(what: str, samples: Mapping[str, Sequence[float]], unit: str) -> Figure:
    """Return our figure; where there is Pulsar's of the same run, with that and the ratio of the two."""
    ours, theirs = samples["magnetar"], samples.get("pulsar")
    goal = ""
    if theirs:
        middle = statistics.median(theirs)
        spread = f" ({min(theirs):.3g} to {max(theirs):.3g})" if len(theirs) > 1 else ""
        goal = f"Pulsar {middle:.3g}{spread}: ratio {statistics.median(ours) / middle:.2g}"
    return Figure(what, tuple(ours), unit, goal)


def _how(*, batched: bool) -> str:
    return "batched" if batched else "single"


def _topic() -> str:
    return f"persistent://public/default/bench-{uuid.uuid4().hex}"


def _start() -> list[Figure]:
    times, memory = [], []
    for _ in range(_STARTS):
        before = time.perf_counter()
        with running_broker() as broker:
            times.append((time.perf_counter() - before) * 1000)
            memory.append(psutil.Process(broker.pid).memory_info().rss / MIB)
    return [
        Figure("start to ready", tuple(times), "ms", "< 300"),
        Figure("memory when ready", tuple(memory), "MiB", "< 56"),
    ]
