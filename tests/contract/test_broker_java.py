from collections.abc import Iterator

import pytest
from foreign_clients import ForeignClient, java_client
from magnetar_broker.testing import RunningBroker, running_broker
from requirements import requires

pytestmark = [requires("java"), requires("maven"), pytest.mark.timeout(600)]

CHECKS = (
    *("exclusive", "shared-redelivers-on-close", "failover", "key-shared", "batch-index-acknowledgement"),
    *("cumulative-acknowledgement", "acknowledgement-receipts", "dead-letters", "retry-letters", "delayed-delivery"),
    *("multi-topic", "pattern", "partitioned", "seek-under-load", "non-persistent", "compression", "chunks"),
    *("json-schema", "avro-schema", "protobuf-native-schema", "key-value-schema", "exclusive-producer"),
    *("wait-for-exclusive-producer", "exclusive-with-fencing", "deduplication", "transactions-refused"),
    *("too-large-message", "reader", "reader-within-a-batch", "reader-seek", "table-view", "compacted-reader"),
    *("admin-tenants-and-namespaces", "admin-topics", "admin-subscriptions", "admin-messages", "admin-schemas"),
    *("admin-permissions", "admin-packages", "admin-brokers", "http-service-url"),
)


@pytest.fixture(scope="module")
def broker() -> Iterator[RunningBroker]:
    with running_broker() as made:
        yield made


@pytest.fixture(scope="module")
def client(broker: RunningBroker) -> Iterator[ForeignClient]:
    with java_client(broker) as made:
        yield made


@pytest.mark.parametrize("check", CHECKS)
def test_the_java_client_can(client: ForeignClient, check: str) -> None:
    """Pulsar's own Java client, in its default settings, finds what it finds with a Pulsar."""
    assert client.run(check) == "ok"


def test_every_check_of_the_java_program_is_run(client: ForeignClient) -> None:
    """None is forgotten here that the program has."""
    assert set(client.checks) == set(CHECKS)
