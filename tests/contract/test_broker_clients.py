import re
import time
import uuid
from collections.abc import Iterator

import httpx
import pulsar
import pytest
from magnetar_broker.testing import RunningBroker, running_broker


@pytest.fixture
def client(pulsar_broker: RunningBroker) -> Iterator[pulsar.Client]:
    made = pulsar.Client(pulsar_broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    yield made
    made.close()


@pytest.fixture
def topic() -> str:
    return f"persistent://public/default/t-{uuid.uuid4().hex}"


def drain(consumer: pulsar.Consumer, count: int, timeout: int = 5000) -> list[pulsar.Message]:
    return [consumer.receive(timeout) for _ in range(count)]


def test_an_http_service_url_serves_as_well(pulsar_broker: RunningBroker, topic: str) -> None:
    """The client asks the admin port where topics are, of how many partitions, and which a pattern means."""
    client = pulsar.Client(pulsar_broker.admin_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    created = f"{pulsar_broker.admin_url}/admin/v2/{topic.replace('://', '/')}-p/partitions"
    assert httpx.put(created, json=2).is_success
    for name in (topic, f"{topic}-p"):
        consumer = client.subscribe(name, "s")
        client.create_producer(name).send(b"x")
        assert consumer.receive(5000).data() == b"x"
    pattern = client.subscribe(re.compile(f"{topic}.*"), "pattern", initial_position=pulsar.InitialPosition.Earliest)
    assert [message.data() for message in drain(pattern, 2)] == [b"x", b"x"]
    client.close()


def test_messages_arrive_in_order_and_acknowledged_ones_do_not_come_again(client: pulsar.Client, topic: str) -> None:
    """A batch of a thousand comes whole and in order; after acknowledgement nothing is left."""
    consumer = client.subscribe(topic, "s")
    producer = client.create_producer(topic, batching_enabled=True)
    for n in range(1000):
        producer.send_async(b"%d" % n, None)
    producer.flush()
    messages = drain(consumer, 1000)
    assert [int(message.data()) for message in messages] == list(range(1000))
    consumer.acknowledge_cumulative(messages[-1])
    consumer.close()
    again = client.subscribe(topic, "s")
    with pytest.raises(pulsar.Timeout):
        again.receive(200)


def test_a_shared_subscription_divides_and_redelivers(client: pulsar.Client, topic: str) -> None:
    """Two consumers share; what one leaves unacknowledged goes to the other when it closes."""
    one = client.subscribe(topic, "s", pulsar.ConsumerType.Shared, receiver_queue_size=10)
    two = client.subscribe(topic, "s", pulsar.ConsumerType.Shared, receiver_queue_size=10)
    producer = client.create_producer(topic, batching_enabled=False)
    for n in range(20):
        producer.send(b"%d" % n)
    first = drain(one, 5)
    assert first
    one.close()
    seen = set()
    for _ in range(20):
        message = two.receive(5000)
        seen.add(int(message.data()))
        two.acknowledge(message)
    assert seen == set(range(20))


@pytest.mark.parametrize("kind", [pulsar.ConsumerType.Shared, pulsar.ConsumerType.Exclusive])
def test_a_negative_acknowledgement_brings_a_message_back(
    client: pulsar.Client, topic: str, kind: pulsar.ConsumerType
) -> None:
    """The message comes again, with its count raised where the subscription is shared."""
    consumer = client.subscribe(topic, "s", kind, negative_ack_redelivery_delay_ms=100)
    client.create_producer(topic).send(b"x")
    message = consumer.receive(5000)
    consumer.negative_acknowledge(message)
    again = consumer.receive(5000)
    assert again.data() == b"x"
    if kind == pulsar.ConsumerType.Shared:
        assert again.redelivery_count() == 1


def test_failover_hands_over(client: pulsar.Client, topic: str) -> None:
    """When the active consumer closes, the other one gets what was not acknowledged."""
    first = client.subscribe(topic, "s", pulsar.ConsumerType.Failover, consumer_name="a")
    second = client.subscribe(topic, "s", pulsar.ConsumerType.Failover, consumer_name="b")
    producer = client.create_producer(topic)
    for n in range(4):
        producer.send(b"%d" % n)
    for message in drain(first, 2):
        first.acknowledge(message)
    first.close()
    assert [message.data() for message in drain(second, 2)] == [b"2", b"3"]


def test_a_second_exclusive_consumer_is_refused(client: pulsar.Client, topic: str) -> None:
    """The error is ConsumerBusy."""
    client.subscribe(topic, "s")
    with pytest.raises(pulsar.ConsumerBusy):
        client.subscribe(topic, "s")


def test_key_shared_keeps_each_key_with_one_consumer(client: pulsar.Client, topic: str) -> None:
    """No key is seen by two consumers, and each key's order holds."""
    consumers = [client.subscribe(topic, "s", pulsar.ConsumerType.KeyShared, consumer_name=name) for name in "ab"]
    producer = client.create_producer(topic, batching_enabled=False)
    for n in range(100):
        producer.send(b"%d" % n, partition_key=f"k{n % 10}")
    seen: dict[str, tuple[int, list[int]]] = {}
    total = 0
    for index, consumer in enumerate(consumers):
        while total < 100:
            try:
                message = consumer.receive(300 if index == 0 else 5000)
            except pulsar.Timeout:
                break
            total += 1
            consumer.acknowledge(message)
            owner, values = seen.setdefault(message.partition_key(), (index, []))
            assert owner == index
            values.append(int(message.data()))
    assert total == 100
    assert all(values == sorted(values) for _, values in seen.values())


def test_readers_start_where_they_are_told(client: pulsar.Client, topic: str) -> None:
    """Earliest, a message id, and latest."""
    producer = client.create_producer(topic, batching_enabled=False)
    ids = [producer.send(b"%d" % n) for n in range(5)]
    assert ids
    earliest = client.create_reader(topic, pulsar.MessageId.earliest)
    messages = [earliest.read_next(5000) for _ in range(5)]
    assert [message.data() for message in messages] == [b"0", b"1", b"2", b"3", b"4"]
    assert not earliest.has_message_available()
    middle = client.create_reader(topic, messages[2].message_id())
    assert middle.read_next(5000).data() == b"3"
    latest = client.create_reader(topic, pulsar.MessageId.latest)
    producer.send(b"5")
    assert latest.read_next(5000).data() == b"5"


def test_a_batchs_rest_is_redelivered(client: pulsar.Client, topic: str) -> None:
    """Of a batch only what was not acknowledged comes again."""
    consumer = client.subscribe(topic, "s", pulsar.ConsumerType.Shared, batch_index_ack_enabled=True)
    producer = client.create_producer(topic, batching_enabled=True, batching_max_publish_delay_ms=100)
    for n in range(10):
        producer.send_async(b"%d" % n, None)
    producer.flush()
    for message in drain(consumer, 10)[:4]:
        consumer.acknowledge(message)
    consumer.close()
    again = client.subscribe(topic, "s", pulsar.ConsumerType.Shared, batch_index_ack_enabled=True)
    assert [message.data() for message in drain(again, 6)] == [b"4", b"5", b"6", b"7", b"8", b"9"]


def test_a_delayed_message_comes_later(client: pulsar.Client, topic: str) -> None:
    """It does not come before its time, and does come after."""
    consumer = client.subscribe(topic, "s", pulsar.ConsumerType.Shared)
    start = time.monotonic()
    client.create_producer(topic).send(b"x", deliver_at=int(time.time() * 1000) + 500)
    assert consumer.receive(5000).data() == b"x"
    assert time.monotonic() - start > 0.4


def test_an_exclusive_producer_fences_others(client: pulsar.Client, topic: str) -> None:
    """A second exclusive producer is refused, and gets its turn after the first."""
    access = pulsar.ProducerAccessMode.Exclusive
    first = client.create_producer(topic, access_mode=access)
    with pytest.raises(pulsar.ProducerFenced):
        client.create_producer(topic, access_mode=access)
    with pytest.raises(pulsar.ProducerBusy):
        client.create_producer(topic)
    first.close()
    client.create_producer(topic, access_mode=access).send(b"x")


def test_compaction_keeps_the_last_value_of_each_key(
    client: pulsar.Client, topic: str, pulsar_broker: RunningBroker
) -> None:
    """A compacted reader sees the last values, no deleted key, and what came after."""
    producer = client.create_producer(topic, batching_enabled=False, compression_type=pulsar.CompressionType.LZ4)
    for n in range(10):
        producer.send(b"%d" % n, partition_key=f"k{n % 3}")
    producer.send(b"", partition_key="k1")
    path = topic.removeprefix("persistent://")
    with httpx.Client(base_url=pulsar_broker.admin_url) as admin:
        assert admin.put(f"/admin/v2/persistent/{path}/compaction").status_code == 204
    producer.send(b"later", partition_key="k9")
    reader = client.create_reader(topic, pulsar.MessageId.earliest, is_read_compacted=True)
    found = {}
    while reader.has_message_available():
        message = reader.read_next(5000)
        found[message.partition_key()] = message.data()
    assert found == {"k0": b"9", "k2": b"8", "k9": b"later"}


def test_partitioned_topics_spread_and_are_consumed_whole(
    client: pulsar.Client, topic: str, pulsar_broker: RunningBroker
) -> None:
    """A topic of three partitions gives all its messages."""
    path = topic.removeprefix("persistent://")
    with httpx.Client(base_url=pulsar_broker.admin_url) as admin:
        assert admin.put(f"/admin/v2/persistent/{path}/partitions", json=3).status_code == 204
        assert admin.get(f"/admin/v2/persistent/{path}/partitions").json()["partitions"] == 3
    consumer = client.subscribe(topic, "s")
    producer = client.create_producer(topic)
    for n in range(30):
        producer.send(b"%d" % n)
    assert {int(message.data()) for message in drain(consumer, 30)} == set(range(30))


def test_a_json_schema_is_kept_and_an_incompatible_one_refused(client: pulsar.Client, topic: str) -> None:
    """A consumer gets objects; a schema that drops a field without default is refused."""

    class One(pulsar.schema.Record):
        a = pulsar.schema.String()

    class Two(pulsar.schema.Record):
        b = pulsar.schema.Integer(required=True)

    consumer = client.subscribe(topic, "s", schema=pulsar.schema.JsonSchema(One))
    client.create_producer(topic, schema=pulsar.schema.JsonSchema(One)).send(One(a="x"))
    assert consumer.receive(5000).value().a == "x"
    with pytest.raises(pulsar.IncompatibleSchema):
        client.create_producer(topic, schema=pulsar.schema.JsonSchema(Two))


def test_a_chunked_message_of_12_megabytes_arrives(client: pulsar.Client, topic: str) -> None:
    """A message above the maximum size travels in chunks."""
    consumer = client.subscribe(topic, "s")
    producer = client.create_producer(topic, chunking_enabled=True, batching_enabled=False)
    data = bytes(range(256)) * 4096 * 12
    producer.send(data)
    assert consumer.receive(10000).data() == data


@pytest.mark.parametrize("attempt", range(3))
def test_seek_under_load_loses_nothing(client: pulsar.Client, topic: str, attempt: int) -> None:
    """After seeking to the earliest message with messages in flight, every one comes again."""
    # Without blocking, the client drops what does not fit its queue of 1000: a gap that is not the broker's.
    producer = client.create_producer(topic, batching_enabled=False, block_if_queue_full=True)
    consumer = client.subscribe(topic, "s")
    for n in range(3000):
        producer.send_async(b"%d" % n, None)
    producer.flush()
    for _ in range(1500):
        consumer.acknowledge(consumer.receive(5000))
    consumer.seek(pulsar.MessageId.earliest)
    seen = [int(consumer.receive(5000).data()) for _ in range(3000)]
    assert seen == list(range(3000))


def test_everything_is_there_after_a_kill() -> None:
    """Receipted messages, cursors, topics and namespaces survive kill -9."""
    with running_broker() as broker:
        with httpx.Client(base_url=broker.admin_url) as admin:
            assert admin.put("/admin/v2/tenants/acme", json={}).status_code == 204
            assert admin.put("/admin/v2/namespaces/acme/prod").status_code == 204
        topic = "persistent://acme/prod/t"
        client = pulsar.Client(broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
        consumer = client.subscribe(topic, "s", initial_position=pulsar.InitialPosition.Earliest)
        producer = client.create_producer(topic)
        for n in range(100):
            producer.send(b"%d" % n)
        consumer.acknowledge_cumulative(drain(consumer, 40)[-1])
        consumer.close()
        time_limit = time.monotonic() + 10
        path = f"{broker.admin_url}/admin/v2/persistent/acme/prod/t/stats"
        while httpx.get(path).json()["subscriptions"]["s"]["msgBacklog"] != 60:
            assert time.monotonic() < time_limit
        httpx.get(path)
        broker.stop()
        broker.restart()
        producer.send(b"100")
        broker.kill()
        broker.restart()
        again = client.subscribe(topic, "s")
        assert [int(message.data()) for message in drain(again, 61)] == list(range(40, 101))
        client.close()
