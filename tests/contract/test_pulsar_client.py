import os
import signal
import threading
import uuid
from collections.abc import AsyncIterator

import anyio
import pulsar
import pytest
from magnetar.broker_admin import BrokerAdmin
from magnetar.errors import BrokerRefusedError, NotReadyError
from magnetar.pulsar_client import EARLIEST, FencedError, PulsarClient, Reader, SubscriptionKind
from magnetar.pulsar_client.failures import told
from magnetar_broker.testing import RunningBroker, running_broker


@pytest.fixture
async def client(pulsar_broker: RunningBroker) -> AsyncIterator[PulsarClient]:
    async with PulsarClient(pulsar_broker.service_url) as made:
        yield made


@pytest.fixture
def topic() -> str:
    return f"persistent://public/default/t-{uuid.uuid4().hex}"


async def test_what_is_sent_is_read_in_order_with_key_and_properties(client: PulsarClient, topic: str) -> None:
    """Everything arrives, places compare in the topic's order, and a reader may start after any of them."""
    producer = await client.create_producer(topic, name="p")
    assert producer.last_sequence_id == -1
    places = [await producer.send(b"%d" % n, f"k{n}", {"version": str(n)}) for n in range(3)]
    assert places == sorted(places)
    assert producer.name == "p"
    assert producer.last_sequence_id == 2
    messages = await (await client.reader(topic, EARLIEST)).read_available()
    assert [(each.id, each.key, each.data, each.properties) for each in messages] == [
        (place, f"k{n}", b"%d" % n, {"version": str(n)}) for n, place in enumerate(places)
    ]
    later = await client.reader(topic, places[1])
    assert (await later.read()).data == b"2"
    assert not await later.has_message_available()
    assert pulsar.MessageId.deserialize(places[1].serialize()).entry_id() == places[1].entry_id


async def test_a_cancelled_read_loses_nothing(client: PulsarClient, topic: str) -> None:
    """The message that comes to a read that was given up is returned by the next one, in order."""
    producer = await client.create_producer(topic)
    reader = await client.reader(topic, EARLIEST)
    with anyio.move_on_after(0.05):
        await reader.read()
    await producer.send(b"one")
    await producer.send(b"two")
    assert [(await reader.read()).data, (await reader.read()).data] == [b"one", b"two"]


async def test_a_subscription_is_shared_and_acknowledged(client: PulsarClient, topic: str) -> None:
    """What was acknowledged does not come to the next consumer of the subscription."""
    first = await client.subscribe(topic, "s", kind=SubscriptionKind.FAILOVER, consumer_name="a", earliest=True)
    producer = await client.create_producer(topic)
    for n in range(3):
        await producer.send(b"%d" % n)
    await first.acknowledge(await first.receive())
    await first.close()
    await first.close()
    second = await client.subscribe(topic, "s", kind=SubscriptionKind.FAILOVER)
    assert (await second.receive()).data == b"1"


async def test_an_exclusive_producer_keeps_others_away_until_it_is_taken_over(
    client: PulsarClient, topic: str, pulsar_broker: RunningBroker
) -> None:
    """A second one raises FencedError; the first raises it from `send` once another was let in by force."""
    first = await client.create_producer(topic, exclusive=True)
    with pytest.raises(FencedError):
        await client.create_producer(topic, exclusive=True)
    official = pulsar.Client(pulsar_broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    try:
        official.create_producer(topic, access_mode=pulsar.ProducerAccessMode.ExclusiveWithFencing)
        with anyio.fail_after(20), pytest.raises((FencedError, anyio.ClosedResourceError)):
            while True:
                await first.send(b"x")
    finally:
        official.close()


async def test_closing_ends_every_blocked_read_even_when_they_are_many(
    pulsar_broker: RunningBroker, topic: str
) -> None:
    """More blocked reads than there are threads for leave room to send, and end when the client closes."""
    ended = 0

    async def read(reader: Reader) -> None:
        nonlocal ended
        with pytest.raises(anyio.ClosedResourceError):
            await reader.read()
        ended += 1

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks, PulsarClient(pulsar_broker.service_url) as client:
            for _ in range(70):
                tasks.start_soon(read, await client.reader(topic))
            await (await client.create_producer(f"{topic}-other")).send(b"x")
    assert ended == 70


def test_no_thread_is_left_behind(pulsar_broker: RunningBroker, topic: str) -> None:
    """A read that was given up is over when the client has been closed, and so is its thread."""

    async def main() -> None:
        async with PulsarClient(pulsar_broker.service_url) as client:
            reader = await client.reader(topic)
            with anyio.move_on_after(0.05):
                await reader.read()

    before = set(threading.enumerate())
    anyio.run(main)
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


async def test_what_nobody_waits_for_any_more_is_closed(topic: str) -> None:
    """An exclusive producer that came after its caller had gone does not keep the topic."""
    with running_broker() as broker, anyio.fail_after(40):
        async with PulsarClient(broker.service_url) as client, BrokerAdmin(broker.admin_url) as admin:
            await client.create_producer(f"{topic}-warm")
            os.kill(broker.pid, signal.SIGSTOP)
            with anyio.move_on_after(0.2) as scope:
                await client.create_producer(topic, exclusive=True)
            assert scope.cancelled_caught
            os.kill(broker.pid, signal.SIGCONT)
            await admin.create_topic(topic)
            while True:
                try:
                    await (await client.create_producer(topic, name="mine", exclusive=True)).send(b"x")
                except FencedError:
                    continue
                break
            assert [each.name for each in (await admin.topic_stats(topic)).publishers] == ["mine"]


async def test_leaving_does_not_wait_for_a_broker_that_is_stuck(topic: str) -> None:
    """With the broker stopped in mid-call the context is left within seconds, and the call ends."""
    with running_broker() as broker:
        with anyio.fail_after(20):
            async with PulsarClient(broker.service_url) as client:
                producer = await client.create_producer(topic)
                os.kill(broker.pid, signal.SIGSTOP)
                with anyio.move_on_after(0.1):
                    await producer.send(b"x")
        os.kill(broker.pid, signal.SIGCONT)


async def test_a_compacted_reader_ends_where_the_last_key_was_deleted(
    client: PulsarClient, topic: str, pulsar_broker: RunningBroker
) -> None:
    """The end of a topic whose last message was compacted away is found all the same."""
    producer = await client.create_producer(topic)
    for key, data in (("a", b"1"), ("b", b"2"), ("a", b"3"), ("b", b"")):
        await producer.send(data, key)
    async with BrokerAdmin(pulsar_broker.admin_url) as admin:
        await admin.compact(topic)
    reader = await client.reader(topic, EARLIEST, compacted=True)
    with anyio.fail_after(30):
        assert [(each.key, each.data) for each in await reader.read_available()] == [("a", b"3")]


@pytest.mark.parametrize(
    ("official", "expected", "status"),
    [
        (pulsar.Timeout, NotReadyError, 503),
        (pulsar.ConnectError, NotReadyError, 503),
        (pulsar.ProducerFenced, FencedError, 409),
        (pulsar.AuthorizationError, BrokerRefusedError, 401),
        (pulsar.TopicNotFound, BrokerRefusedError, 404),
        (pulsar.UnknownError, BrokerRefusedError, 500),
    ],
)
def test_the_clients_exceptions_become_the_workers(
    official: type[Exception], expected: type[BrokerRefusedError | NotReadyError], status: int
) -> None:
    """Each says what was being done, with the HTTP status that fits."""
    with pytest.raises(expected, match="sending") as raised, told("sending"):
        raise official("x")
    assert raised.value.status == status


def test_closed_is_closed() -> None:
    """What was closed raises anyio's own error for it."""
    with pytest.raises(anyio.ClosedResourceError), told("sending"):
        raise pulsar.AlreadyClosed("x")
