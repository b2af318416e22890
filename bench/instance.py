"""The Python instance against the loop that anyone would write: the same client, broker, messages and machine."""

import argparse
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import pulsar
from instance_process import details, running, unique
from magnetar_broker.testing import RunningBroker, running_broker

from bench.report import Figure

EXCLAIM = "def process(input):\n    return input + '!'\n"
WAITS = "import time\ndef process(input):\n    time.sleep(0.01)\n    return input\n"
AWAITS = "import asyncio\nasync def process(input):\n    await asyncio.sleep(0.01)\n    return input\n"
OBVIOUS = """
import sys
import pulsar
url, source, sink, count = sys.argv[1:]
client = pulsar.Client(url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
consumer = client.subscribe(source, "obvious", pulsar.ConsumerType.Shared,
                            initial_position=pulsar.InitialPosition.Earliest)
producer = client.create_producer(sink, batching_enabled=True, block_if_queue_full=True, send_timeout_millis=0)
print("ready", flush=True)
def acknowledge(message):
    return lambda result, _: consumer.acknowledge(message)
for _ in range(int(count)):
    message = consumer.receive()
    producer.send_async(message.data() + b"!", acknowledge(message))
producer.flush()
sys.stdin.read()
"""
"""Receive, send with a callback, acknowledge in it."""


@dataclass(frozen=True)
class Run:
    """One pass over the input: thousands of messages in a second, and CPU microseconds for each."""

    rate: float
    cpu: float


def measure(arguments: Sequence[str]) -> list[Figure]:
    """Run both loops in turns and return their rates, costs and ratios."""
    parser = argparse.ArgumentParser(prog="scripts/bench instance")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    with TemporaryDirectory(prefix="magnetar-bench-") as folder, running_broker() as broker:
        bench = InstanceBench(broker, Path(folder), options.messages)
        bench.fill()
        pairs = [(bench.obvious(), bench.instance()) for _ in range(options.rounds)]
        latencies = bench.latencies()
        one_by_one, at_once = bench.waiting(WAITS, 200), bench.waiting(AWAITS, 20_000)
    rates = [mine.rate / bare.rate for bare, mine in pairs]
    costs = [mine.cpu / bare.cpu for bare, mine in pairs]
    return [
        Figure("obvious loop", tuple(bare.rate for bare, _ in pairs), "thousand/s"),
        Figure("instance", tuple(mine.rate for _, mine in pairs), "thousand/s"),
        Figure("obvious loop, CPU", tuple(bare.cpu for bare, _ in pairs), "µs/message"),
        Figure("instance, CPU", tuple(mine.cpu for _, mine in pairs), "µs/message"),
        Figure("instance over obvious loop, rate", tuple(rates), "", ">= 3"),
        Figure("instance over obvious loop, CPU", tuple(costs), "", "<= 0.45"),
        *latencies,
        Figure("waits 10 ms, one after the other", (one_by_one,), "messages/s"),
        Figure("awaits 10 ms, 1,000 in flight", (at_once,), "messages/s", ">= 50 times"),
        Figure("in flight over one after the other", (at_once / one_by_one,), "", ">= 50"),
    ]


class InstanceBench:
    """A broker, an input topic that is filled once, and the loops that read it."""

    def __init__(self, broker: RunningBroker, folder: Path, count: int) -> None:
        self._broker = broker
        self._folder = folder
        self._count = count
        self._source = unique("in")
        (folder / "exclaim.py").write_text(EXCLAIM)

    def fill(self) -> None:
        """Write the messages, 100 bytes each."""
        client = self._client()
        producer = client.create_producer(self._source, batching_enabled=True, block_if_queue_full=True)
        for number in range(self._count):
            producer.send_async(f"message {number:09d} ".encode().ljust(100, b"x"), None)
        producer.flush()
        client.close()

    def obvious(self) -> Run:
        """Run the obvious loop in a process of its own, on a copy of the subscription's name."""
        sink = unique("out")
        command = [sys.executable, "-c", OBVIOUS.replace("obvious", uuid.uuid4().hex)]
        command += [self._broker.service_url, self._source, sink, str(self._count)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            return self._timed(process.pid, sink)

    def instance(self) -> Run:
        """Run an instance, ATLEAST_ONCE, on the same messages."""
        sink = unique("out")
        function = details("exclaim", [self._source], sink)
        with running(function, self._folder / "exclaim.py", self._broker.service_url, logs=self._folder) as instance:
            return self._timed(instance.process.pid, sink)

    def _timed(self, pid: int, sink: str) -> Run:
        process = psutil.Process(pid)
        began, used = time.perf_counter(), _used(process)
        self._until_stored(sink)
        took = time.perf_counter() - began
        run = Run(self._count / took / 1000, (_used(process) - used) / self._count * 1e6)
        self._verify(sink)
        return run

    def _until_stored(self, topic: str) -> None:
        path = topic.replace("://", "/")
        with httpx.Client(base_url=self._broker.admin_url) as admin:
            while True:
                answer = admin.get(f"/admin/v2/{path}/stats")
                if answer.status_code == httpx.codes.OK and answer.json()["msgInCounter"] >= self._count:
                    return
                time.sleep(0.05)

    def _verify(self, topic: str) -> None:
        client = self._client()
        reader = client.create_reader(topic, pulsar.MessageId.earliest)
        for number in range(self._count):
            data = reader.read_next(10_000).data()
            assert data.startswith(f"message {number:09d}".encode()), data
            assert data.endswith(b"!")
        client.close()

    def latencies(self, count: int = 400, per_second: int = 200) -> list[Figure]:
        """Measure one message at a time at a low rate: through the instance, and over two bare hops."""
        source, sink = unique("in"), unique("out")
        client = self._client()
        function = details("exclaim", [source], sink)
        with running(function, self._folder / "exclaim.py", self._broker.service_url, logs=self._folder):
            through = _round_trips(client, source, [sink], count, per_second)
        one, two = unique("hop"), unique("hop")
        bare = _round_trips(client, one, [one, two], count, per_second)
        client.close()
        return [
            Figure("two bare hops, 200 messages/s", tuple(bare), "ms"),
            Figure("through the instance, 200 messages/s", tuple(through), "ms", "two bare hops + 2"),
        ]

    def waiting(self, code: str, count: int) -> float:
        """Measure how many of so many messages a function that waits 10 ms takes in a second."""
        name = f"waits{uuid.uuid4().hex[:8]}"
        (self._folder / f"{name}.py").write_text(code)
        source, sink = unique("in"), unique("out")
        client = self._client()
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
        client.close()
        return (count - 1) / took

    def _client(self) -> pulsar.Client:
        return pulsar.Client(self._broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))


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


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
