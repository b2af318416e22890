"""The broker's figures: rates and latencies with the Python and Java clients, memory, start; Pulsar's beside them."""

import argparse
import json
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil
import pulsar
from broker_wire import hello, produce, send, subscribe
from foreign_clients import java_command
from magnetar_broker.testing import RunningBroker, running_broker
from magnetar_broker.wire.frames import FrameReader
from magnetar_broker.wire.proto.pulsar_api import BaseCommand

from bench.report import Figure, machine, show

QUIET = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)
MIB = 2**20


class Load(Protocol):
    """Puts load on a broker with one of the clients."""

    name: str

    def publish(self, topic: str, count: int, size: int, *, batched: bool) -> float:
        """Return messages per second."""

    def consume(self, topic: str, count: int) -> float:
        """Return messages per second."""

    def pipe(self, topic: str, count: int, size: int, *, batched: bool) -> float:
        """Publish and consume at once; return messages per second."""

    def latencies(self, topic: str, count: int, size: int, rate: int, *, batched: bool) -> tuple[float, ...]:
        """Return milliseconds from sending to arrival."""


class PythonLoad:
    """The official Python client."""

    name = "python"

    def __init__(self, url: str) -> None:
        self._client = pulsar.Client(url, logger=QUIET)

    def _producer(self, topic: str, *, batched: bool) -> pulsar.Producer:
        return self._client.create_producer(
            topic,
            batching_enabled=batched,
            batching_max_publish_delay_ms=1,
            block_if_queue_full=True,
            send_timeout_millis=0,
            max_pending_messages=5000,
        )

    def _consumer(self, topic: str) -> pulsar.Consumer:
        position = pulsar.InitialPosition.Earliest
        return self._client.subscribe(topic, "load", receiver_queue_size=5000, initial_position=position)

    def publish(self, topic: str, count: int, size: int, *, batched: bool) -> float:
        producer, data = self._producer(topic, batched=batched), b"." * size
        start = time.perf_counter()
        for _ in range(count):
            producer.send_async(data, None)
        producer.flush()
        taken = time.perf_counter() - start
        producer.close()
        return count / taken

    def consume(self, topic: str, count: int) -> float:
        consumer = self._consumer(topic)
        start = time.perf_counter()
        for _ in range(count):
            message = consumer.receive(60_000)
        taken = time.perf_counter() - start
        consumer.acknowledge_cumulative(message)
        consumer.close()
        return count / taken

    def pipe(self, topic: str, count: int, size: int, *, batched: bool) -> float:
        consumer = self._consumer(topic)
        sender = threading.Thread(target=self.publish, args=(topic, count, size), kwargs={"batched": batched})
        start = time.perf_counter()
        sender.start()
        for _ in range(count):
            message = consumer.receive(60_000)
        taken = time.perf_counter() - start
        sender.join()
        consumer.acknowledge_cumulative(message)
        consumer.close()
        return count / taken

    def latencies(self, topic: str, count: int, size: int, rate: int, *, batched: bool) -> tuple[float, ...]:
        consumer, producer = self._consumer(topic), self._producer(topic, batched=batched)
        sent_at, taken = [0.0] * count, [0.0] * count

        def receive() -> None:
            for number in range(count):
                message = consumer.receive(60_000)
                taken[number] = (time.perf_counter() - sent_at[number]) * 1000
                consumer.acknowledge(message)

        receiver = threading.Thread(target=receive)
        receiver.start()
        data, due = b"." * size, time.perf_counter()
        for number in range(count):
            sent_at[number] = time.perf_counter()
            producer.send_async(data, None)
            due += 1 / rate
            time.sleep(max(0.0, due - time.perf_counter()))
        receiver.join()
        producer.close()
        consumer.close()
        return tuple(taken)

    def close(self) -> None:
        self._client.close()


class JavaLoad:
    """The official Java client, in a process of its own, warm after its first run."""

    name = "java"

    def __init__(self, url: str) -> None:
        command = [*java_command("broker.Load", "-Xmx768m"), url]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def _ask(self, *words: object) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join(str(word) for word in words) + "\n")
        return self._process.stdout.readline()

    def publish(self, topic: str, count: int, size: int, *, batched: bool) -> float:
        return float(self._ask("publish", topic, count, size, str(batched).lower()))

    def consume(self, topic: str, count: int) -> float:
        return float(self._ask("consume", topic, count))

    def pipe(self, topic: str, count: int, size: int, *, batched: bool) -> float:
        return float(self._ask("pipe", topic, count, size, str(batched).lower()))

    def latencies(self, topic: str, count: int, size: int, rate: int, *, batched: bool) -> tuple[float, ...]:
        answer = self._ask("latency", topic, count, size, str(batched).lower(), rate)
        return tuple(float(word) for word in answer.split())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@dataclass(frozen=True)
class Served:
    """A broker under load."""

    name: str
    url: str
    pid: int | None


def measure(arguments: Sequence[str]) -> list[Figure]:
    """Run everything against a fresh broker, and when asked the same loads against a Pulsar that runs."""
    parser = argparse.ArgumentParser(prog="scripts/bench broker")
    parser.add_argument("--messages", type=int, default=50_000, help="of each run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pulsar", metavar="URL", help="the service URL of a Pulsar standalone to hold it against")
    parser.add_argument("--pulsar-pid", type=int, help="its process, for its memory")
    options = parser.parse_args(arguments)
    figures: list[Figure] = []
    with running_broker() as broker:
        served = [Served("magnetar", broker.service_url, broker.pid)]
        if options.pulsar:
            served.append(Served("pulsar", options.pulsar, options.pulsar_pid))
        kinds: list[type[PythonLoad | JavaLoad]] = [PythonLoad]
        if shutil.which("java") and shutil.which("mvn"):
            kinds.append(JavaLoad)
        for kind in kinds:
            figures += _side_by_side(kind, served, options.messages, options.rounds)
        for each in served:
            if each.pid is not None:
                memory = psutil.Process(each.pid).memory_info().rss / MIB
                figures.append(Figure(f"{each.name}: memory after the loads", (memory,), "MiB"))
    return figures + _start() + _backlog(1_000_000) + _idle_topics(10_000)


def _side_by_side(
    kind: type[PythonLoad | JavaLoad], served: Sequence[Served], messages: int, rounds: int
) -> Iterator[Figure]:
    """Run each load on each broker in turns, so that what else the machine does falls on all alike."""
    loads = [(each.name, kind(each.url)) for each in served]
    try:
        for _, load in loads:
            load.publish(_topic(), messages, 100, batched=True)
        for size in (100, 1024):
            for batched in (True, False):
                yield from _rates(loads, messages, size, rounds, batched=batched)
        for rate in (200, 2000):
            for batched in (True, False):
                for name, load in loads:
                    taken = load.latencies(_topic(), rate * 3, 100, rate, batched=batched)
                    yield from _latency_figures(f"{name}: {load.name}, {rate}/s, {_how(batched)}", taken)
    finally:
        for _, load in loads:
            load.close()


def _rates(
    loads: Sequence[tuple[str, PythonLoad | JavaLoad]], messages: int, size: int, rounds: int, *, batched: bool
) -> Iterator[Figure]:
    samples: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for name, load in loads:
            topic = _topic()
            for what, found in (
                ("publish", load.publish(topic, messages, size, batched=batched)),
                ("consume", load.consume(topic, messages)),
                ("in to out", load.pipe(_topic(), messages, size, batched=batched)),
            ):
                samples.setdefault((what, name), []).append(found / 1000)
    client = loads[0][1].name
    for (what, name), found_all in samples.items():
        title = f"{name}: {client} {what}, {size} B, {_how(batched)}"
        yield Figure(title, tuple(found_all), "1000/s", "Pulsar's" if name == "magnetar" else "")


def _how(batched: bool) -> str:  # noqa: FBT001 - a word for a title
    return "batched" if batched else "single"


def _topic() -> str:
    return f"persistent://public/default/bench-{uuid.uuid4().hex}"


def _latency_figures(title: str, taken: tuple[float, ...]) -> Iterator[Figure]:
    ordered = sorted(taken)
    for share, word in ((0.5, "p50"), (0.99, "p99")):
        yield Figure(f"{title}, {word}", (ordered[int(len(ordered) * share)],), "ms")


def _start() -> list[Figure]:
    times, memory = [], []
    for _ in range(5):
        before = time.perf_counter()
        with running_broker() as broker:
            times.append((time.perf_counter() - before) * 1000)
            memory.append(psutil.Process(broker.pid).memory_info().rss / MIB)
    return [
        Figure("start to ready", tuple(times), "ms", "< 300"),
        Figure("memory when ready", tuple(memory), "MiB", "< 56"),
    ]


class _Raw:
    """A client that speaks the protocol itself: what it costs does not hide what the broker costs."""

    def __init__(self, broker: RunningBroker) -> None:
        import socket  # noqa: PLC0415 - only here

        port = int(broker.service_url.rsplit(":", 1)[1])
        self.socket = socket.create_connection(("127.0.0.1", port))
        self._reader = FrameReader()
        self.socket.sendall(hello())

    def wait(self, kind: int, count: int) -> None:
        while count > 0:
            for command, _ in self._reader.feed(self.socket.recv(1 << 20)):
                count -= BaseCommand.FromString(bytes(command)).type == kind


@contextmanager
def _raw(broker: RunningBroker) -> Iterator[_Raw]:
    client = _Raw(broker)
    try:
        yield client
    finally:
        client.socket.close()


def _backlog(count: int) -> list[Figure]:
    """Publish messages of 100 bytes, each by itself, that nobody reads."""
    with running_broker() as broker, _raw(broker) as client:
        client.socket.sendall(subscribe() + produce())
        process = psutil.Process(broker.pid)
        before = process.cpu_times().user + process.cpu_times().system
        for start in range(0, count, 2000):
            client.socket.sendall(b"".join(send(number, b"." * 100) for number in range(start, start + 2000)))
            client.wait(BaseCommand.SEND_RECEIPT, 2000)
        cpu = process.cpu_times().user + process.cpu_times().system - before
        memory = process.memory_info().rss / MIB
        broker.kill()
        started = time.perf_counter()
        broker.restart()
        opened = time.perf_counter() - started
    return [
        Figure(f"memory with {count} unread messages", (memory,), "MiB", "< 150"),
        Figure("CPU of one single message, published", (cpu / count * 1e6,), "µs"),
        Figure(f"open after a crash with {count} unread messages", (opened,), "s"),
    ]


def _idle_topics(count: int) -> list[Figure]:
    with running_broker() as broker:
        with _raw(broker) as client:
            for start in range(0, count, 1000):
                client.socket.sendall(b"".join(subscribe(f"t{n}", consumer=n) for n in range(start, start + 1000)))
                client.wait(BaseCommand.SUCCESS, 1000)
        memory = psutil.Process(broker.pid).memory_info().rss / MIB
        broker.stop()
        started = time.perf_counter()
        broker.restart()
        opened = time.perf_counter() - started
        process = psutil.Process(broker.pid)
        before = process.cpu_times().user + process.cpu_times().system
        time.sleep(10)
        idle = (process.cpu_times().user + process.cpu_times().system - before) * 10
    return [
        Figure(f"memory with {count} idle topics", (memory,), "MiB", "< 150"),
        Figure(f"open with {count} idle topics", (opened,), "s", "< 2"),
        Figure(f"CPU with {count} idle topics", (idle,), "% of a core"),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures as a table and, with --json FILE, write them there."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--json", type=Path)
    options, rest = parser.parse_known_args(argv)
    figures = measure(rest)
    show("broker", figures)
    if options.json:
        results = {"broker": [each.to_json() for each in figures]}
        options.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
