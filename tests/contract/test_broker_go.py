import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pulsar
import pytest
from foreign_clients import ForeignClient, go_client
from magnetar_broker.testing import RunningBroker, running_broker
from requirements import requires

pytestmark = [requires("go"), pytest.mark.timeout(600)]

CHECKS = (
    *("exclusive", "shared-redelivers-on-close", "failover", "key-shared", "batch-index-acknowledgement"),
    *("cumulative-acknowledgement", "acknowledgement-receipts", "dead-letters", "retry-letters", "delayed-delivery"),
    *("multi-topic", "pattern", "partitioned", "seek-under-load", "non-persistent", "compression", "chunks"),
    *("json-schema", "avro-schema", "exclusive-producer", "wait-for-exclusive-producer", "transactions-refused"),
    *("too-large-message", "reader", "reader-within-a-batch", "reader-seek", "table-view"),
    *("admin-tenants-and-namespaces", "admin-topics", "admin-subscriptions", "admin-schemas", "admin-packages"),
    *("admin-brokers", "compacted-reads", "protobuf-native-schema", "deduplication", "key-value-schema"),
    "schema-versions",
)


@pytest.fixture(scope="module")
def broker() -> Iterator[RunningBroker]:
    with running_broker() as made:
        yield made


@pytest.fixture(scope="module")
def client(broker: RunningBroker) -> Iterator[ForeignClient]:
    with go_client(broker) as made:
        yield made


@pytest.mark.parametrize("check", CHECKS)
def test_the_go_client_can(client: ForeignClient, check: str) -> None:
    """Pulsar's own Go client, in its default settings, finds what it finds with a Pulsar."""
    assert client.run(check) == "ok"


def test_every_check_of_the_go_program_is_run(client: ForeignClient) -> None:
    """None is forgotten here that the program has."""
    assert set(client.checks) == {*CHECKS, "fenced-producer"}


def test_a_fenced_go_producer_hears_so(client: ForeignClient, broker: RunningBroker) -> None:
    """Go's client can't fence others, but is fenced like any other: by Python's here."""
    topic = f"persistent://public/default/{uuid.uuid4().hex}"
    publishers = f"{broker.admin_url}/admin/v2/{topic.replace('://', '/')}/stats"
    fencing = pulsar.Client(broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(client.run, f"fenced-producer {topic}")
        deadline = time.monotonic() + 20
        while not httpx.get(publishers).json().get("publishers"):
            assert time.monotonic() < deadline
        fencing.create_producer(topic, access_mode=pulsar.ProducerAccessMode.ExclusiveWithFencing).send(b"mine")
        assert told.result() == "ok"
    fencing.close()
