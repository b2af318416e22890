"""A client that speaks a broker's protocol itself, over a socket: thousands of topics and a million messages are cheap."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from broker_wire import hello, produce, send, subscribe
from magnetar_broker.testing import RunningBroker
from magnetar_broker.wire.frames import FrameReader
from magnetar_broker.wire.proto.pulsar_api import BaseCommand

_PATIENCE = 60.0
_AT_ONCE = 2000
_TOPICS_AT_ONCE = 1000
MIB = 2**20


class RawClient:
    """One connection; what the broker does not answer within a minute is a failure."""

    def __init__(self, broker: RunningBroker) -> None:
        port = int(broker.service_url.rsplit(":", 1)[1])
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE)
        self._reader = FrameReader()
        self.socket.sendall(hello())
        self.wait(BaseCommand.CONNECTED)

    def wait(self, kind: int, count: int = 1) -> None:
        """Return when that many commands of a kind have come."""
        while count > 0:
            data = self.socket.recv(1 << 20)
            assert data, "the broker closed the connection"
            for command, _ in self._reader.feed(data):
                count -= BaseCommand.FromString(bytes(command)).type == kind

    def fill(self, count: int) -> None:
        """Publish messages of 100 bytes to the topic `t`, each by itself, that its one subscription has yet to read."""
        self.socket.sendall(subscribe() + produce())
        self.wait(BaseCommand.PRODUCER_SUCCESS)
        frames = b"".join(send(number, b"." * 100) for number in range(_AT_ONCE))
        for _ in range(0, count, _AT_ONCE):
            self.socket.sendall(frames)
            self.wait(BaseCommand.SEND_RECEIPT, _AT_ONCE)

    def subscribe_each(self, count: int) -> None:
        """Make topics `t0`, `t1`, … with a subscription each."""
        for start in range(0, count, _TOPICS_AT_ONCE):
            numbers = range(start, start + _TOPICS_AT_ONCE)
            self.socket.sendall(b"".join(subscribe(f"t{number}", consumer=number) for number in numbers))
            self.wait(BaseCommand.SUCCESS, _TOPICS_AT_ONCE)


@contextmanager
def raw_client(broker: RunningBroker) -> Iterator[RawClient]:
    """Connect while the context is open."""
    client = RawClient(broker)
    try:
        yield client
    finally:
        client.socket.close()


def resident(broker: RunningBroker) -> float:
    """Return a broker's memory in MiB."""
    return float(psutil.Process(broker.pid).memory_info().rss) / MIB


def processor_seconds(broker: RunningBroker) -> float:
    """Return what a broker has had of a core since it started: the same on a busy machine, unlike the clock."""
    times = psutil.Process(broker.pid).cpu_times()
    return float(times.user + times.system)
