"""What clients can do beyond the everyday: exclusive access, de-duplication, volatile topics, table views, quotas."""

import re
import threading
import time
import uuid
from collections.abc import Iterator

import httpx
import pulsar
import pytest
from google.protobuf import wrappers_pb2
from magnetar_broker.testing import RunningBroker

QUIET = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)


@pytest.fixture
def client(pulsar_broker: RunningBroker) -> Iterator[pulsar.Client]:
    made = pulsar.Client(pulsar_broker.service_url, logger=QUIET)
    yield made
    made.close()


@pytest.fixture
def admin(pulsar_broker: RunningBroker) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{pulsar_broker.admin_url}/admin/v2") as made:
        yield made


@pytest.fixture
def namespace(admin: httpx.Client) -> str:
    made = f"public/n-{uuid.uuid4().hex}"
    assert admin.put(f"/namespaces/{made}").status_code == 204
    return made


@pytest.fixture
def topic(namespace: str) -> str:
    return f"persistent://{namespace}/t"


def test_a_producer_waits_for_exclusive_access(client: pulsar.Client, topic: str) -> None:
    """It gets its turn when the holder closes, and is heard of as waiting until then."""
    first = client.create_producer(topic, access_mode=pulsar.ProducerAccessMode.Exclusive)
    made: list[pulsar.Producer] = []

    def wait() -> None:
        made.append(client.create_producer(topic, access_mode=pulsar.ProducerAccessMode.WaitForExclusive))

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join(0.3)
    assert not made
    first.send(b"x")
    first.close()
    thread.join(20)
    made[0].send(b"y")


def test_a_fenced_producer_can_not_send_any_more(client: pulsar.Client, topic: str) -> None:
    """Exclusive access with fencing takes the topic from whoever has it."""
    first = client.create_producer(topic)
    first.send(b"x")
    second = client.create_producer(topic, access_mode=pulsar.ProducerAccessMode.ExclusiveWithFencing)
    second.send(b"y")
    with pytest.raises(pulsar.PulsarException):
        first.send(b"z")


def test_what_is_sent_again_is_not_delivered_again(
    client: pulsar.Client, admin: httpx.Client, namespace: str, topic: str
) -> None:
    """Where the namespace de-duplicates, sequence ids tell what came before, also to a producer that comes again."""
    assert admin.post(f"/namespaces/{namespace}/deduplication", json=True).is_success
    consumer = client.subscribe(topic, "s")
    for expected in (-1, 5):
        producer = client.create_producer(topic, producer_name="me", batching_enabled=False, send_timeout_millis=0)
        assert producer.last_sequence_id() == expected
        # The client takes 0 for no sequence id at all.
        for number in range(1, 6):
            producer.send(b"%d" % number, sequence_id=number)
        producer.close()
    assert [consumer.receive(5000).data() for _ in range(5)] == [b"1", b"2", b"3", b"4", b"5"]
    with pytest.raises(pulsar.Timeout):
        consumer.receive(300)


def test_deduplication_survives_a_crash(fresh_pulsar_broker: RunningBroker) -> None:
    """The last sequence ids are read from the journal again."""
    base = f"{fresh_pulsar_broker.admin_url}/admin/v2/namespaces/public/default/deduplication"
    assert httpx.post(base, json=True).is_success
    client = pulsar.Client(fresh_pulsar_broker.service_url, logger=QUIET)
    topic = "persistent://public/default/t"
    options = {"producer_name": "me", "batching_enabled": False, "send_timeout_millis": 0}
    producer = client.create_producer(topic, **options)
    for number in range(1, 6):
        producer.send(b"%d" % number, sequence_id=number)
    producer.close()
    fresh_pulsar_broker.kill()
    fresh_pulsar_broker.restart()
    assert client.create_producer(topic, **options).last_sequence_id() == 5
    client.close()


@pytest.mark.parametrize("kind", ["Exclusive", "Shared", "KeyShared"])
def test_a_non_persistent_topic_keeps_nothing(client: pulsar.Client, topic: str, kind: str) -> None:
    """Who is there gets the message; who comes later does not."""
    fleeting = topic.replace("persistent://", "non-persistent://")
    producer = client.create_producer(fleeting, batching_enabled=False)
    producer.send(b"nobody is here")
    consumer = client.subscribe(
        fleeting, "s", getattr(pulsar.ConsumerType, kind), initial_position=pulsar.InitialPosition.Earliest
    )
    for number in range(3):
        producer.send(b"%d" % number)
    assert [consumer.receive(5000).data() for _ in range(3)] == [b"0", b"1", b"2"]


def test_a_table_view_has_the_last_value_of_each_key(client: pulsar.Client, topic: str) -> None:
    """It follows what comes and goes."""
    producer = client.create_producer(topic)
    for number in range(10):
        producer.send(b"%d" % number, partition_key=f"k{number % 3}")
    view = client.create_table_view(topic)
    assert len(view) == 3
    assert view.get("k0") == b"9"
    view.close()


@pytest.mark.parametrize("codec", ["NONE", "LZ4", "ZLib", "ZSTD", "SNAPPY"])
def test_compressed_messages_arrive(client: pulsar.Client, topic: str, codec: str) -> None:
    """Four megabytes, whatever the codec, also in batches that are acknowledged in part."""
    consumer = client.subscribe(topic, "s")
    producer = client.create_producer(topic, compression_type=getattr(pulsar.CompressionType, codec))
    data = bytes(range(256)) * 4096 * 4
    producer.send(data)
    assert consumer.receive(10000).data() == data


def test_a_pattern_finds_what_is_there(client: pulsar.Client, namespace: str) -> None:
    """Topics that match, partitioned ones too, and no others."""
    for name in ("a1", "a2", "b1"):
        client.create_producer(f"persistent://{namespace}/{name}").send(name.encode())
    consumer = client.subscribe(
        re.compile(f"persistent://{namespace}/a.*"), "s", initial_position=pulsar.InitialPosition.Earliest
    )
    assert {consumer.receive(5000).data() for _ in range(2)} == {b"a1", b"a2"}
    with pytest.raises(pulsar.Timeout):
        consumer.receive(200)


def test_dead_letters_are_put_aside(client: pulsar.Client, topic: str) -> None:
    """After as many deliveries as the policy says a message goes to the other topic."""
    policy = pulsar.ConsumerDeadLetterPolicy(max_redeliver_count=2, initial_subscription_name="letters")
    consumer = client.subscribe(
        topic, "s", pulsar.ConsumerType.Shared, negative_ack_redelivery_delay_ms=100, dead_letter_policy=policy
    )
    letters = client.subscribe(f"{topic}-s-DLQ", "letters")
    client.create_producer(topic).send(b"x")
    for count in range(3):
        message = consumer.receive(5000)
        assert message.redelivery_count() == count
        consumer.negative_acknowledge(message)
    assert letters.receive(10000).data() == b"x"


@pytest.mark.parametrize("policy", ["producer_request_hold", "producer_exception"])
def test_a_full_backlog_holds_producers(
    client: pulsar.Client, admin: httpx.Client, namespace: str, topic: str, policy: str
) -> None:
    """As Pulsar does: who wants to produce is told that the quota is exceeded, until consumers have made room."""
    quota = {"limitSize": 10_000, "policy": policy}
    assert admin.post(f"/namespaces/{namespace}/backlogQuota", json=quota).is_success
    consumer = client.subscribe(topic, "s", receiver_queue_size=10)
    producer = client.create_producer(topic, batching_enabled=False)
    for _ in range(30):
        producer.send(b"." * 1000)
    producer.close()
    expected = {
        "producer_request_hold": pulsar.ProducerBlockedQuotaExceededError,
        "producer_exception": pulsar.ProducerBlockedQuotaExceededException,
    }
    with pytest.raises(expected[policy]):
        client.create_producer(topic)
    for _ in range(30):
        consumer.acknowledge(consumer.receive(5000))
    consumer.close()
    client.create_producer(topic).send(b"x")


def test_key_order_holds_while_consumers_come_and_go(client: pulsar.Client, topic: str) -> None:
    """With a consumer joining and another leaving, no key's values go back or are lost."""
    kind = pulsar.ConsumerType.KeyShared
    producer = client.create_producer(topic, batching_enabled=False, block_if_queue_full=True)
    first = client.subscribe(topic, "s", kind, consumer_name="a", receiver_queue_size=20)
    for number in range(600):
        producer.send_async(b"%d" % number, None, partition_key=f"k{number % 12}")
    producer.flush()
    seen: dict[str, list[int]] = {}

    def take(consumer: pulsar.Consumer, limit: int) -> int:
        for taken in range(limit):
            try:
                message = consumer.receive(300)
            except pulsar.Timeout:
                return taken
            seen.setdefault(message.partition_key(), []).append(int(message.data()))
            consumer.acknowledge(message)
        return limit

    take(first, 100)
    second = client.subscribe(topic, "s", kind, consumer_name="b", receiver_queue_size=20)
    take(first, 60)
    take(second, 60)
    first.close()
    deadline = time.monotonic() + 30
    while sum(len(set(values)) for values in seen.values()) < 600 and time.monotonic() < deadline:
        take(second, 100)
    assert sum(len(set(values)) for values in seen.values()) == 600
    for values in seen.values():
        fresh = list(dict.fromkeys(values))
        assert fresh == sorted(fresh)


def test_a_subscription_of_another_kind_is_refused(client: pulsar.Client, topic: str) -> None:
    """Shared beside Failover is ConsumerBusy."""
    client.subscribe(topic, "s", pulsar.ConsumerType.Shared)
    with pytest.raises(pulsar.ConsumerBusy):
        client.subscribe(topic, "s", pulsar.ConsumerType.Failover)


def test_readers_and_consumers_seek_by_id_and_by_time(client: pulsar.Client, topic: str) -> None:
    """Also into the middle of a batch, where what is before the id is not read again."""
    producer = client.create_producer(topic, batching_enabled=True, batching_max_publish_delay_ms=50)
    for number in range(10):
        producer.send_async(b"%d" % number, None)
    producer.flush()
    time.sleep(0.05)
    between = int(time.time() * 1000)
    time.sleep(0.05)
    producer.send(b"later")
    reader = client.create_reader(topic, pulsar.MessageId.earliest)
    ids = [reader.read_next(5000).message_id() for _ in range(11)]
    within = client.create_reader(topic, ids[4])
    assert within.read_next(5000).data() == b"5"
    reader.seek(pulsar.MessageId.earliest)
    assert reader.read_next(5000).data() == b"0"
    reader.seek(between)
    assert reader.read_next(5000).data() == b"later"
    consumer = client.subscribe(topic, "s")
    consumer.seek(pulsar.MessageId.earliest)
    assert [consumer.receive(5000).data() for _ in range(10)] == [b"%d" % number for number in range(10)]
    consumer.seek(between)
    assert consumer.receive(5000).data() == b"later"


def test_several_topics_are_consumed_as_one(client: pulsar.Client, topic: str) -> None:
    """Each message tells its topic."""
    topics = [topic, f"{topic}-other"]
    consumer = client.subscribe(topics, "s")
    for name in topics:
        client.create_producer(name).send(b"x")
    assert {consumer.receive(5000).topic_name() for _ in topics} == set(topics)


@pytest.mark.parametrize("kind", [pulsar.schema.AvroSchema, pulsar.schema.JsonSchema])
def test_schemas_come_in_versions_and_incompatible_ones_are_refused(
    client: pulsar.Client, admin: httpx.Client, topic: str, kind: type[pulsar.schema.Schema]
) -> None:
    """A wider record is the second version; the first one is still the first; another type is refused."""

    text, long = pulsar.schema.String(), pulsar.schema.Long(required=True)
    # The record's name, which must not change, is the class's.
    first, wider, other = (
        type("Note", (pulsar.schema.Record,), fields)
        for fields in (
            {"text": text},
            {"text": text, "more": pulsar.schema.String(required_default=True)},
            {"text": long},
        )
    )
    consumer = client.subscribe(topic, "s", schema=kind(first))
    for record, version in ((first(text="a"), 0), (wider(text="b", more="c"), 1), (first(text="d"), 0)):
        client.create_producer(topic, schema=kind(type(record))).send(record)
        message = consumer.receive(5000)
        assert message.value().text == record.text
        assert int.from_bytes(message.schema_version().encode("latin-1"), "big") == version
    versions = admin.get(f"/schemas/{topic.removeprefix('persistent://')}/schemas").json()["getSchemaResponses"]
    assert [each["version"] for each in versions] == [0, 1]
    with pytest.raises(pulsar.IncompatibleSchema):
        client.create_producer(topic, schema=kind(other))


def test_a_protobuf_schema_is_kept_and_another_message_refused(client: pulsar.Client, topic: str) -> None:
    """The descriptor travels; the root message must stay the same."""
    schema = pulsar.schema.ProtobufNativeSchema(wrappers_pb2.StringValue)
    consumer = client.subscribe(topic, "s", schema=schema)
    client.create_producer(topic, schema=schema).send(wrappers_pb2.StringValue(value="hello"))
    assert consumer.receive(5000).value().value == "hello"
    with pytest.raises(pulsar.IncompatibleSchema):
        client.create_producer(topic, schema=pulsar.schema.ProtobufNativeSchema(wrappers_pb2.Int64Value))


def test_a_message_above_the_limit_is_refused(client: pulsar.Client, topic: str) -> None:
    """The client knows the limit from the broker, and the producer goes on."""
    producer = client.create_producer(topic, batching_enabled=False)
    with pytest.raises(pulsar.MessageTooBig):
        producer.send(bytes(6_000_000))
    producer.send(b"x")


def test_a_topic_without_its_namespace_is_refused(client: pulsar.Client) -> None:
    """The client hears so at once."""
    with pytest.raises(pulsar.PulsarException):
        client.create_producer("persistent://public/nowhere/t")
