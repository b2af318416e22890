"""What the broker costs by itself: start, memory, and a client that speaks the protocol raw."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from broker_wire import hello, produce, send, subscribe
from magnetar_broker.testing import RunningBroker, running_broker
from magnetar_broker.wire.frames import FrameReader
from magnetar_broker.wire.proto.pulsar_api import BaseCommand

from bench.report import Figure

MIB = 2**20


class _Raw:
    """A client that speaks the protocol itself: what it costs does not hide what the broker costs."""

    def __init__(self, broker: RunningBroker) -> None:
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


def backlog(count: int) -> list[Figure]:
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


def idle_topics(count: int) -> list[Figure]:
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
