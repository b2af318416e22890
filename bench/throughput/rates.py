"""What a contender manages of a topic that was filled before: its rate, its processor time, and every output verified."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import psutil
import pulsar
from instance_process import unique

from bench.throughput.brokers import Broker
from bench.throughput.contenders import Contender

_LOOKS_EACH = 0.05
_WARM = 0.1
"""The share of the messages that is not measured: who begins is not yet at full speed."""
_LONGEST = 120.0


@dataclass(frozen=True)
class Run:
    """One pass over the input: thousands of messages in a second, and CPU microseconds for each."""

    rate: float
    cpu: float


@dataclass(frozen=True)
class _Sample:
    """How far a contender was at a moment."""

    when: float
    stored: int
    used: float


class Course:
    """A broker and an input topic that is filled once and read by each contender from its beginning."""

    def __init__(self, broker: Broker, count: int) -> None:
        self._broker = broker
        self._count = count
        self._source = unique("in")

    def fill(self) -> None:
        """Write the messages, 100 bytes each; a subscription that reads none of them has the broker keep them."""
        client = self.client()
        client.subscribe(self._source, "keeps all").close()
        producer = client.create_producer(self._source, batching_enabled=True, block_if_queue_full=True)
        for number in range(self._count):
            producer.send_async(f"message {number:09d} ".encode().ljust(100, b"x"), None)
        producer.flush()
        client.close()

    def run(self, contender: Contender) -> Run:
        """Have a contender take all messages."""
        sink = unique("out")
        client = self.client()
        client.subscribe(sink, "keeps all").close()
        with contender(self._source, sink) as pid:
            samples = self._until_stored(sink, psutil.Process(pid))
        self._verify(client, sink)
        client.close()
        return _slope(samples, self._count)

    def _until_stored(self, topic: str, process: psutil.Process) -> list[_Sample]:
        """Return how it went on; it ends with all stored."""
        path = f"/admin/v2/{topic.replace('://', '/')}/stats"
        ends, samples = time.perf_counter() + _LONGEST, list[_Sample]()
        with httpx.Client(base_url=self._broker.admin_url) as admin:
            while not samples or samples[-1].stored < self._count:
                stored = admin.get(path).raise_for_status().json()["msgInCounter"]
                samples.append(_Sample(time.perf_counter(), stored, _used(process)))
                if samples[-1].when > ends:
                    raise SystemExit(f"only {stored} of {self._count} outputs were stored in {_LONGEST:.0f} s")
                time.sleep(_LOOKS_EACH)
        return samples

    def _verify(self, client: pulsar.Client, topic: str) -> None:
        reader = client.create_reader(topic, pulsar.MessageId.earliest)
        for number in range(self._count):
            data = reader.read_next(10_000).data()
            assert data.startswith(f"message {number:09d}".encode()), data
            assert data.endswith(b"!")

    def client(self) -> pulsar.Client:
        """Return a client of the broker."""
        return pulsar.Client(self._broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))


def _slope(samples: Sequence[_Sample], count: int) -> Run:
    """Return the rate between two looks under way, which no start and no waiting for the last look blurs."""
    first = next(each for each in samples if each.stored >= count * _WARM)
    last = [each for each in samples if each.stored < count][-1]
    if last.stored <= first.stored:
        raise SystemExit(f"{count} messages went by between two looks: take more")
    messages = last.stored - first.stored
    return Run(messages / (last.when - first.when) / 1000, (last.used - first.used) / messages * 1e6)


def _used(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
