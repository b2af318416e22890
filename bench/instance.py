"""The Python instance against the loop that anyone would write: the same client, broker, messages and machine."""

import argparse
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pulsar
from instance_process import details, running, unique
from supervised import client_of

from bench.report import Figure
from bench.throughput.brokers import Broker, started
from bench.throughput.contenders import contenders
from bench.throughput.rates import Course, Run

WAITS = "import time\ndef process(input):\n    time.sleep(0.01)\n    return input\n"
AWAITS = "import asyncio\nasync def process(input):\n    await asyncio.sleep(0.01)\n    return input\n"
_GOALS = {False: ">= 3", True: ">= 2.2"}
"""Of the rate, on Magnetar's broker and on a real Pulsar, which needs more of the same processors."""


def measure(arguments: Sequence[str]) -> list[Figure]:
    """Run all contenders in turns and return their rates, costs and ratios; then latencies and functions that wait."""
    options = _options(arguments)
    with TemporaryDirectory(prefix="magnetar-bench-") as name, started(pulsar=options.pulsar) as broker:
        folder = Path(name)
        figures = _rates(options, broker, folder)
        if options.rates_only:
            return figures
        bench = InstanceBench(broker, folder)
        latencies = bench.latencies()
        one_by_one, at_once = bench.waiting(WAITS, 200), bench.waiting(AWAITS, 20_000)
    return [
        *figures,
        *latencies,
        Figure("waits 10 ms, one after the other", (one_by_one,), "messages/s"),
        Figure("awaits 10 ms, 1,000 in flight", (at_once,), "messages/s", ">= 50 times"),
        Figure("in flight over one after the other", (at_once / one_by_one,), "", ">= 50"),
    ]


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench instance")
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rates-only", action="store_true", help="no latencies and no functions that wait")
    parser.add_argument("--pulsar", action="store_true", help="on a real Pulsar, which Maven fetches once")
    parser.add_argument(
        "--pulsars-python", default="", metavar="COMMAND", help="how to run Pulsar's python_instance_main.py beside"
    )
    parser.add_argument(
        "--pulsars-go", default="", metavar="PROGRAM", help="the same function built with Pulsar's library for Go"
    )
    return parser.parse_args(arguments)


def _rates(options: argparse.Namespace, broker: Broker, folder: Path) -> list[Figure]:
    course = Course(broker, options.messages)
    course.fill()
    racing = contenders(broker.service_url, folder, python=options.pulsars_python, go=options.pulsars_go)
    for name in ("obvious loop", "instance", "instance") if options.pulsar else ():  # a Java machine is slow at first
        course.run(racing[name])
    rounds = [{name: course.run(contender) for name, contender in racing.items()} for _ in range(options.rounds)]
    figures = [figure for name in racing for figure in _figures(name, [each[name] for each in rounds])]
    for name in racing:
        if name != "obvious loop":
            figures += _ratios(name, rounds, ours=name == "instance", pulsar=options.pulsar)
    return figures


def _figures(name: str, runs: Sequence[Run]) -> list[Figure]:
    return [
        Figure(name, tuple(run.rate for run in runs), "thousand/s"),
        Figure(f"{name}, CPU", tuple(run.cpu for run in runs), "µs/message"),
    ]


def _ratios(name: str, rounds: Sequence[dict[str, Run]], *, ours: bool, pulsar: bool) -> list[Figure]:
    pairs = [(each["obvious loop"], each[name]) for each in rounds]
    rates = tuple(run.rate / bare.rate for bare, run in pairs)
    costs = tuple(run.cpu / bare.cpu for bare, run in pairs)
    return [
        Figure(f"{name} over obvious loop, rate", rates, "", _GOALS[pulsar] if ours else ""),
        Figure(f"{name} over obvious loop, CPU", costs, "", "<= 0.45" if ours else ""),
    ]


class InstanceBench:
    """A broker, and an instance that is asked for one message at a time or that waits."""

    def __init__(self, broker: Broker, folder: Path) -> None:
        self._broker = broker
        self._folder = folder

    def latencies(self, count: int = 400, per_second: int = 200) -> list[Figure]:
        """Measure one message at a time at a low rate: through the instance, and over two bare hops."""
        source, sink = unique("in"), unique("out")
        with client_of(self._broker.service_url) as client:
            function = details("exclaim", [source], sink)
            with running(function, self._folder / "exclaim.py", self._broker.service_url, logs=self._folder):
                through = _round_trips(client, source, [sink], count, per_second)
            one, two = unique("hop"), unique("hop")
            bare = _round_trips(client, one, [one, two], count, per_second)
        return [
            Figure("two bare hops, 200 messages/s", tuple(bare), "ms"),
            Figure("through the instance, 200 messages/s", tuple(through), "ms", "two bare hops + 2"),
        ]

    def waiting(self, code: str, count: int) -> float:
        """Measure how many of so many messages a function that waits 10 ms takes in a second."""
        name = f"waits{uuid.uuid4().hex[:8]}"
        (self._folder / f"{name}.py").write_text(code)
        source, sink = unique("in"), unique("out")
        with client_of(self._broker.service_url) as client:
            producer = client.create_producer(source, batching_enabled=True, block_if_queue_full=True)
            for number in range(count):
                producer.send_async(b"%d" % number, None)
            producer.flush()
            consumer = client.subscribe(sink, "count")
            function = details(name, [source], sink)
            with running(function, self._folder / f"{name}.py", self._broker.service_url, logs=self._folder):
                consumer.receive(30_000)
                began = time.perf_counter()
                for _ in range(count - 1):
                    consumer.receive(30_000)
                took = time.perf_counter() - began
        return (count - 1) / took


def _round_trips(client: pulsar.Client, first: str, route: list[str], count: int, per_second: int) -> list[float]:
    """Send to `first`, and pass each message on along the route; the milliseconds until it is out at the end."""
    consumers = [client.subscribe(topic, uuid.uuid4().hex) for topic in route]
    producers = [client.create_producer(topic, batching_enabled=False) for topic in (first, *route[1:])]
    took = []
    for _ in range(count + 20):
        began = time.perf_counter()
        producers[0].send_async(b"hello", None)
        for index, consumer in enumerate(consumers):
            message = consumer.receive(10_000)
            if index + 1 < len(consumers):
                producers[index + 1].send_async(message.data(), None)
            consumer.acknowledge(message)
        elapsed = time.perf_counter() - began
        took.append(elapsed * 1000)
        time.sleep(max(1 / per_second - elapsed, 0))
    return took[20:]
