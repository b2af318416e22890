"""How much memory and time a broker takes, however much is kept; bench/broker_load has figures."""

import resource
import time
from collections.abc import Iterator

import httpx
import psutil
import pulsar
import pytest
from broker_wire import flow, produce, send, subscribe
from magnetar_broker.testing import RunningBroker
from magnetar_broker.wire.proto.pulsar_api import BaseCommand
from raw_client import RawClient, processor_seconds, raw_client, resident

QUIET = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)
MESSAGES, TOPICS, CONNECTIONS = 1_000_000, 10_000, 5_000
MEMORY, SECONDS = 150, 2


def assert_opens_small_and_fast(broker: RunningBroker) -> None:
    """Start a broker again. Time is what it needs of a core: a busy machine makes only the clock run on."""
    broker.restart()
    assert processor_seconds(broker) < SECONDS
    assert resident(broker) < MEMORY


def test_a_million_unread_messages_are_light_and_open_fast(fresh_pulsar_broker: RunningBroker) -> None:
    """The messages are on the disk: memory has where they stand, and a cache with a bound; a crash loses none."""
    broker = fresh_pulsar_broker
    with raw_client(broker) as client:
        client.fill(MESSAGES)
        assert resident(broker) < MEMORY
    broker.kill()
    assert_opens_small_and_fast(broker)
    url = f"{broker.admin_url}/admin/v2/persistent/public/default/t/stats"
    assert httpx.get(url, timeout=60).json()["subscriptions"]["s"]["msgBacklog"] == MESSAGES
    assert resident(broker) < MEMORY


def test_ten_thousand_idle_topics_are_light_and_open_fast(fresh_pulsar_broker: RunningBroker) -> None:
    """Each has a subscription, and is there again after a restart."""
    broker = fresh_pulsar_broker
    with raw_client(broker) as client:
        client.subscribe_each(TOPICS)
        assert resident(broker) < MEMORY
    broker.stop()
    assert_opens_small_and_fast(broker)
    topics = httpx.get(f"{broker.admin_url}/admin/v2/persistent/public/default", timeout=60).json()
    assert len(topics) == TOPICS
    stats = httpx.get(f"{broker.admin_url}/admin/v2/persistent/public/default/t9999/stats", timeout=60).json()
    assert list(stats["subscriptions"]) == ["s"]
    assert resident(broker) < MEMORY


@pytest.fixture
def many_descriptors() -> Iterator[int]:
    """Let this process have as many descriptors as it may, and give how many clients it may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield min(CONNECTIONS, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_connections_are_served(fresh_pulsar_broker: RunningBroker, many_descriptors: int) -> None:
    """Five thousand silent clients hinder nobody, cost little, and leave nothing when they go."""
    broker = fresh_pulsar_broker
    process = psutil.Process(broker.pid)
    descriptors = process.num_fds()
    clients: list[RawClient] = []
    try:
        for _ in range(many_descriptors):
            clients.append(RawClient(broker))  # noqa: PERF401 - those before one that fails are to be closed
        assert resident(broker) < MEMORY
        client = pulsar.Client(broker.service_url, logger=QUIET)
        consumer = client.subscribe("t", "s")
        client.create_producer("t").send(b"x")
        assert consumer.receive(5000).data() == b"x"
        client.close()
    finally:
        for each in clients:
            each.socket.close()
    deadline = time.monotonic() + 20
    while process.num_fds() > descriptors:
        assert time.monotonic() < deadline, f"{process.num_fds()} descriptors, {descriptors} before"


def test_a_consumer_that_never_acknowledges_is_paused(fresh_pulsar_broker: RunningBroker) -> None:
    """As with Pulsar: after 50 000 messages that it has not acknowledged a shared consumer gets no more."""
    with raw_client(fresh_pulsar_broker) as client:
        client.socket.sendall(subscribe(kind=1) + produce() + flow(1_000_000))
        client.wait(BaseCommand.PRODUCER_SUCCESS)
        for number in range(60):
            client.socket.sendall(send(number, count=1000))
        client.wait(BaseCommand.MESSAGE, 50)
        client.socket.settimeout(0.5)
        try:
            client.wait(BaseCommand.MESSAGE)
            more = True
        except TimeoutError:
            more = False
        assert not more


def test_a_broker_starts_fast(fresh_pulsar_broker: RunningBroker) -> None:
    """The fixture is ready in well under 300 ms on a quiet machine; a busy one gets ten times that."""
    times = []
    for _ in range(3):
        fresh_pulsar_broker.stop()
        before = time.monotonic()
        fresh_pulsar_broker.restart()
        times.append(time.monotonic() - before)
    assert min(times) < 3
