"""The pulsar-admin command line, as Maven has it, typed at the embedded broker: all that it is to serve."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulsar
import pytest
from foreign_clients import pulsar_admin_command
from magnetar_broker.testing import RunningBroker, running_broker
from requirements import requires

pytestmark = [requires("java"), requires("maven"), pytest.mark.timeout(600)]
END = "\x1e"
SCHEMA = '{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}'
N, T, P = "acme/n", "persistent://acme/n/t", "persistent://acme/n/p"


class PulsarAdmin:
    """The command line, in one process for all lines."""

    def __init__(self, command: list[str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, line: str) -> str:
        """Run a line that is to succeed and return what it printed."""
        done, said = self._run(line)
        assert done, f"{line}: {said}"
        return said

    def told(self, line: str) -> Any:
        """Run a line that is to succeed and return the JSON that it printed."""
        return json.loads(self.run(line))

    def refused(self, line: str) -> str:
        """Run a line that is to fail and return what it said."""
        done, said = self._run(line)
        assert not done, f"{line}: {said}"
        return said

    def _run(self, line: str) -> tuple[bool, str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        said = ""
        for part in self.process.stdout:
            if part.startswith(END):
                return part.strip(END + "\n") == "done", said.strip()
            said += part
        raise AssertionError(f"{line}: the command line has ended: {said}")


@pytest.fixture(scope="module")
def broker() -> Iterator[RunningBroker]:
    with running_broker() as made:
        yield made


@pytest.fixture(scope="module")
def admin(broker: RunningBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PulsarAdmin]:
    conf = tmp_path_factory.mktemp("conf") / "client.conf"
    conf.write_text(f"webServiceUrl={broker.admin_url}\nbrokerServiceUrl={broker.service_url}\n")
    made = PulsarAdmin(pulsar_admin_command(conf))
    try:
        made.run("tenants create acme --admin-roles me --allowed-clusters standalone")
        made.run(f"namespaces create {N}")
        yield made
    finally:
        made.process.kill()
        made.process.communicate()


@pytest.fixture
def topic(admin: PulsarAdmin, broker: RunningBroker) -> Iterator[str]:
    """A topic with the subscription `s` and three unread messages."""
    admin.run(f"topics create {T}")
    admin.run(f"topics create-subscription {T} --subscription s")
    client = pulsar.Client(broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    producer = client.create_producer(T, batching_enabled=False)
    for number in range(3):
        producer.send(b"message %d" % number, partition_key="k")
    client.close()
    yield T
    admin.run(f"topics delete {T} --force")


def test_tenants_and_namespaces(admin: PulsarAdmin) -> None:
    """Retention and permissions are kept and told; what is in use is deleted by force alone."""
    assert admin.told("tenants get acme") == {"adminRoles": ["me"], "allowedClusters": ["standalone"]}
    assert "acme" in admin.run("tenants list").split()
    assert admin.run("namespaces list acme") == N
    admin.run(f"namespaces set-retention {N} --size 20M --time 10m")
    assert admin.told(f"namespaces get-retention {N}") == {"retentionTimeInMinutes": 10, "retentionSizeInMB": 20}
    admin.run(f"namespaces grant-permission {N} --role you --actions produce,consume")
    assert admin.run(f"namespaces permissions {N}").startswith("you")
    assert admin.told(f"namespaces policies {N}")["auth_policies"]["namespace_auth"].keys() == {"you"}
    admin.run(f"namespaces revoke-permission {N} --role you")
    assert admin.run(f"namespaces permissions {N}") == ""
    assert "active namespaces" in admin.refused("tenants delete acme")
    assert "does not exist" in admin.refused("tenants get nobody")


def test_partitioned_topics(admin: PulsarAdmin) -> None:
    """They are made, grow, are listed and deleted."""
    admin.run(f"topics create-partitioned-topic {P} --partitions 2")
    admin.run(f"topics update-partitioned-topic {P} --partitions 3")
    assert admin.told(f"topics get-partitioned-topic-metadata {P}")["partitions"] == 3
    partitions = {f"{P}-partition-{number}" for number in range(3)}
    assert partitions <= set(admin.run(f"topics list {N}").split())
    assert admin.run(f"topics list-partitioned-topics {N}") == P
    assert set(admin.told(f"topics partitioned-stats {P} --per-partition")["partitions"]) == partitions
    assert len(admin.run(f"topics partitioned-lookup {P}").splitlines()) == 3
    admin.run(f"topics delete-partitioned-topic {P}")
    assert admin.run(f"topics list {N}") == ""


def backlog(admin: PulsarAdmin) -> int:
    return int(admin.told(f"topics stats {T}")["subscriptions"]["s"]["msgBacklog"])


def test_topics(admin: PulsarAdmin, topic: str, broker: RunningBroker) -> None:
    """What a topic has is told, looked at and compacted."""
    stats = admin.told(f"topics stats {topic}")
    assert (stats["msgInCounter"], stats["subscriptions"]["s"]["msgBacklog"]) == (3, 3)
    internal = admin.told(f"topics stats-internal {topic}")
    assert (internal["numberOfEntries"], set(internal["cursors"])) == (3, {"s"})
    last = admin.told(f"topics last-message-id {topic}")
    assert last["entryId"] == 2
    assert "message 1" in admin.run(f"topics peek-messages {topic} --subscription s --count 2")
    assert "message 2" in admin.run(f"topics examine-messages {topic} --initialPosition latest --messagePosition 1")
    found = f"topics get-message-by-id {topic} --ledgerId {last['ledgerId']} --entryId 0"
    assert "message 0" in admin.run(found)
    assert admin.told(f"topics get-message-id {topic} --datetime 2020-01-01T00:00:00.000Z")["entryId"] == 0
    assert "not been run" in admin.run(f"topics compaction-status {topic}")
    admin.run(f"topics compact {topic}")
    assert "success" in admin.run(f"topics compaction-status {topic} --wait-complete").lower()
    assert admin.run(f"topics lookup {topic}") == broker.service_url
    assert admin.run(f"topics bundle-range {topic}") == "0x00000000_0xffffffff"
    admin.run(f"topics unload {topic}")
    assert "not found" in admin.refused(f"topics stats {topic}-absent").lower()


def test_subscriptions(admin: PulsarAdmin, topic: str) -> None:
    """Each verb moves the cursor as it says."""
    assert admin.run(f"topics subscriptions {topic}") == "s"
    admin.run(f"topics skip {topic} --subscription s --count 1")
    assert backlog(admin) == 2
    admin.run(f"topics reset-cursor {topic} --subscription s --messageId earliest")
    assert backlog(admin) == 3
    admin.run(f"topics expire-messages {topic} --subscription s --expireTime 3600")
    admin.run(f"topics expire-messages-all-subscriptions {topic} --expireTime 3600")
    assert backlog(admin) == 3
    admin.run(f"topics clear-backlog {topic} --subscription s")
    assert backlog(admin) == 0
    admin.run(f"topics reset-cursor {topic} --subscription s --time 1h")
    assert backlog(admin) == 3
    admin.run(f"topics unsubscribe {topic} --subscription s")
    assert admin.run(f"topics subscriptions {topic}") == ""


def test_schemas(admin: PulsarAdmin, topic: str, tmp_path: Path) -> None:
    """One is uploaded, told, judged and deleted."""
    file = tmp_path / "schema.json"
    file.write_text(json.dumps({"type": "AVRO", "schema": SCHEMA, "properties": {}}))
    admin.run(f"schemas upload {topic} --filename {file}")
    told = admin.told(f"schemas get {topic}")
    assert (told["version"], told["schemaInfo"]["type"]) == (0, "AVRO")
    admin.run(f"schemas compatibility {topic} --filename {file}")
    file.write_text(json.dumps({"type": "AVRO", "schema": SCHEMA.replace("int", "string"), "properties": {}}))
    assert "incompatible" in admin.refused(f"schemas upload {topic} --filename {file}").lower()
    admin.run(f"schemas delete {topic}")
    admin.refused(f"schemas get {topic}")


def test_packages(admin: PulsarAdmin, tmp_path: Path) -> None:
    """One is uploaded, described, listed, downloaded and deleted."""
    sent, received, name = tmp_path / "sent.py", tmp_path / "received.py", "function://acme/n/x"
    sent.write_text("def process(input): return input\n")
    admin.run(f"packages upload {name}@v1 --path {sent} --description d")
    assert admin.told(f"packages get-metadata {name}@v1")["description"] == "d"
    assert admin.run(f"packages list --type function {N}") == "x"
    assert admin.run(f"packages list-versions {name}") == "v1"
    admin.run(f"packages update-metadata {name}@v1 --description e")
    assert admin.told(f"packages get-metadata {name}@v1")["description"] == "e"
    admin.run(f"packages download {name}@v1 --path {received}")
    assert received.read_text() == sent.read_text()
    admin.run(f"packages delete {name}@v1")
    assert admin.run(f"packages list --type function {N}") == ""


def test_clusters_and_brokers(admin: PulsarAdmin, broker: RunningBroker) -> None:
    """There is one of each, and it is well."""
    assert admin.run("clusters list") == "standalone"
    assert admin.told("clusters get standalone")["brokerServiceUrl"] == broker.service_url
    assert admin.run("brokers list standalone") == broker.admin_url.removeprefix("http://")
    assert admin.run("brokers healthcheck") == "ok"
    assert admin.run("brokers version")
