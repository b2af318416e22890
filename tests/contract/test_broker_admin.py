import socket
import uuid
from collections.abc import Iterator

import httpx
import pulsar
import pytest
from magnetar_broker.testing import RunningBroker

QUIET = pulsar.ConsoleLogger(pulsar.LoggerLevel.Error)


@pytest.fixture
def admin(pulsar_broker: RunningBroker) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{pulsar_broker.admin_url}/admin/v2") as made:
        yield made


@pytest.fixture
def client(pulsar_broker: RunningBroker) -> Iterator[pulsar.Client]:
    made = pulsar.Client(pulsar_broker.service_url, logger=QUIET)
    yield made
    made.close()


@pytest.fixture
def namespace(admin: httpx.Client) -> str:
    made = f"public/n-{uuid.uuid4().hex}"
    assert admin.put(f"/namespaces/{made}").status_code == 204
    return made


@pytest.fixture
def topic(admin: httpx.Client, namespace: str) -> str:
    made = f"persistent/{namespace}/t"
    assert admin.put(f"/{made}").status_code == 204
    return made


def url_of(topic: str) -> str:
    return topic.replace("persistent/", "persistent://", 1)


def publish(client: pulsar.Client, topic: str, count: int, **options: object) -> list[pulsar.MessageId]:
    producer = client.create_producer(url_of(topic), batching_enabled=False, **options)
    return [producer.send(b"%d" % number) for number in range(count)]


def backlog(admin: httpx.Client, topic: str, subscription: str = "s") -> int:
    return int(admin.get(f"/{topic}/stats").json()["subscriptions"][subscription]["msgBacklog"])


def test_tenants_come_and_go(admin: httpx.Client) -> None:
    """A tenant is created, changed, listed and, when it has namespaces, deleted by force alone."""
    name = f"t-{uuid.uuid4().hex}"
    assert admin.put(f"/tenants/{name}", json={"adminRoles": ["a"], "allowedClusters": ["standalone"]}).is_success
    assert admin.put(f"/tenants/{name}", json={}).status_code == 409
    assert admin.post(f"/tenants/{name}", json={"adminRoles": ["b"]}).is_success
    assert admin.get(f"/tenants/{name}").json() == {"adminRoles": ["b"], "allowedClusters": ["standalone"]}
    assert admin.put(f"/namespaces/{name}/n").is_success
    assert admin.delete(f"/tenants/{name}").status_code == 412
    assert admin.delete(f"/tenants/{name}", params={"force": "true"}).is_success
    assert admin.get(f"/tenants/{name}").status_code == 404
    refused = admin.put(f"/tenants/{name}", json={"allowedClusters": ["elsewhere"]})
    assert refused.status_code == 400
    assert "elsewhere" in refused.json()["reason"]


def test_a_namespaces_policies_are_kept_and_told(admin: httpx.Client, namespace: str) -> None:
    """Each by itself and all together; what makes no sense is refused by name and changes nothing."""
    base = f"/namespaces/{namespace}"
    retention = {"retentionTimeInMinutes": 10, "retentionSizeInMB": 100}
    assert admin.post(f"{base}/retention", json=retention).status_code == 204
    assert admin.post(f"{base}/messageTTL", json=60).status_code == 204
    assert admin.post(f"{base}/deduplication", json=True).status_code == 204
    assert admin.put(f"{base}/schemaCompatibilityStrategy", json="FORWARD").status_code == 204
    quota = {"limitSize": 1000, "limitTime": -1, "policy": "producer_exception"}
    assert admin.post(f"{base}/backlogQuota", json=quota).status_code == 204
    assert admin.post(f"{base}/permissions/me", json=["consume"]).status_code == 204
    told = admin.get(base).json()
    assert told["retention_policies"] == admin.get(f"{base}/retention").json() == retention
    assert (told["message_ttl_in_seconds"], told["deduplicationEnabled"]) == (60, True)
    assert admin.get(f"{base}/schemaCompatibilityStrategy").json() == "FORWARD"
    assert admin.get(f"{base}/backlogQuotaMap").json() == {"destination_storage": quota}
    assert admin.get(f"{base}/permissions").json() == {"me": ["consume"]}
    bad = admin.post(f"{base}/retention", json={"retentionTimeInMinutes": 0, "retentionSizeInMB": 5})
    assert bad.status_code == 400
    assert "retention" in bad.json()["reason"]
    assert admin.post(f"{base}/messageTTL", json="soon").status_code == 400
    assert admin.get(f"{base}/retention").json() == retention
    assert admin.delete(f"{base}/retention").status_code == 204
    assert admin.delete(f"{base}/permissions/me").status_code == 204
    assert admin.delete(f"{base}/backlogQuota").status_code == 204
    assert admin.get(f"{base}/permissions").json() == {}


def test_a_namespace_with_topics_is_deleted_by_force_alone(admin: httpx.Client, namespace: str) -> None:
    """Its topics, partitioned or not, go with it."""
    admin.put(f"/persistent/{namespace}/one")
    admin.put(f"/persistent/{namespace}/many/partitions", json=2)
    names = [f"persistent://{namespace}/{name}" for name in ("many-partition-0", "many-partition-1", "one")]
    assert admin.get(f"/persistent/{namespace}").json() == names
    assert admin.get(f"/persistent/{namespace}/partitioned").json() == [f"persistent://{namespace}/many"]
    assert admin.delete(f"/namespaces/{namespace}").status_code == 412
    assert admin.delete(f"/namespaces/{namespace}", params={"force": "true"}).status_code == 204
    assert admin.get(f"/persistent/{namespace}").status_code == 404


def test_partitions_grow_and_their_subscriptions_with_them(admin: httpx.Client, namespace: str) -> None:
    """New partitions have the subscriptions of the old ones, and never become fewer."""
    topic = f"/persistent/{namespace}/p"
    assert admin.put(f"{topic}/partitions", json=2).status_code == 204
    assert admin.put(f"{topic}/partitions", json=2).status_code == 409
    assert admin.put(f"{topic}/subscription/s").status_code == 204
    assert admin.post(f"{topic}/partitions", json=3).status_code == 204
    assert admin.get(f"{topic}/partitions").json()["partitions"] == 3
    assert admin.get(f"{topic}-partition-2/subscriptions").json() == ["s"]
    assert admin.post(f"{topic}/partitions", json=1).status_code == 400
    stats = admin.get(f"{topic}/partitioned-stats").json()
    assert len(stats["partitions"]) == 3
    assert stats["subscriptions"]["s"]["msgBacklog"] == 0
    assert admin.delete(f"{topic}/partitions", params={"force": "true"}).status_code == 204


def test_a_backlog_is_skipped_expired_reset_and_cleared(admin: httpx.Client, client: pulsar.Client, topic: str) -> None:
    """Each verb moves the cursor as it says."""
    base = f"/{topic}/subscription/s"
    assert admin.put(base).status_code == 204
    assert admin.put(base).status_code == 409
    publish(client, topic, 10)
    assert backlog(admin, topic) == 10
    assert admin.post(f"{base}/skip/3").status_code == 204
    assert backlog(admin, topic) == 7
    last = admin.get(f"/{topic}/lastMessageId").json()
    assert last["entryId"] == 9
    assert admin.post(f"{base}/resetcursor", json={"ledgerId": last["ledgerId"], "entryId": 5}).status_code == 204
    assert backlog(admin, topic) == 5
    assert admin.post(f"{base}/expireMessages", json={"ledgerId": last["ledgerId"], "entryId": 6}).status_code == 204
    assert backlog(admin, topic) == 3
    assert admin.post(f"{base}/resetcursor/0").status_code == 204
    assert backlog(admin, topic) == 10
    assert admin.post(f"{base}/expireMessages/3600").status_code == 204
    assert backlog(admin, topic) == 10
    assert admin.post(f"{base}/skip_all").status_code == 204
    assert backlog(admin, topic) == 0
    assert admin.post(f"{base}/skip/many").status_code == 400
    assert admin.put(f"{base}/properties", json={"a": "b"}).status_code == 204
    assert admin.get(f"{base}/properties").json() == {"a": "b"}
    assert admin.delete(base).status_code == 204
    assert admin.post(f"{base}/skip_all").status_code == 404


def test_a_whole_namespaces_backlog_is_cleared_and_unsubscribed(
    admin: httpx.Client, client: pulsar.Client, topic: str, namespace: str
) -> None:
    """One request for all topics."""
    admin.put(f"/{topic}/subscription/s")
    publish(client, topic, 2)
    assert admin.post(f"/namespaces/{namespace}/clearBacklog").status_code == 204
    assert backlog(admin, topic) == 0
    assert admin.post(f"/namespaces/{namespace}/unsubscribe/s").status_code == 204
    assert admin.get(f"/{topic}/subscriptions").json() == []


@pytest.mark.parametrize("codec", ["NONE", "LZ4", "ZLib"])
def test_messages_can_be_looked_at(admin: httpx.Client, client: pulsar.Client, topic: str, codec: str) -> None:
    """Peeking returns the payload as it was before it was compressed, and the metadata as headers."""
    admin.put(f"/{topic}/subscription/s")
    producer = client.create_producer(
        url_of(topic), batching_enabled=False, compression_type=getattr(pulsar.CompressionType, codec)
    )
    text = b"hello " * 50
    producer.send(text, properties={"a": "b"}, partition_key="k")
    peeked = admin.get(f"/{topic}/subscription/s/position/1")
    assert peeked.content == text
    assert peeked.headers["X-Pulsar-PROPERTY-a"] == "b"
    assert peeked.headers["X-Pulsar-partition-key"] == "k"
    ledger, entry = peeked.headers["X-Pulsar-Message-ID"].split(":")
    assert admin.get(f"/{topic}/ledger/{ledger}/entry/{entry}").content == text
    assert admin.get(f"/{topic}/examinemessage", params={"initialPosition": "latest"}).content == text
    assert admin.get(f"/{topic}/messageid/0").json()["entryId"] == 0
    assert admin.get(f"/{topic}/subscription/s/position/2").status_code == 404


def test_stats_name_who_is_there(admin: httpx.Client, client: pulsar.Client, topic: str) -> None:
    """Producers, consumers, the active one, and what they did."""
    producer = client.create_producer(url_of(topic), producer_name="me", properties={"x": "y"})
    consumer = client.subscribe(url_of(topic), "s", pulsar.ConsumerType.Failover, consumer_name="first")
    producer.send(b"x")
    consumer.acknowledge(consumer.receive(5000))
    stats = admin.get(f"/{topic}/stats").json()
    assert [(each["producerName"], each["metadata"]) for each in stats["publishers"]] == [("me", {"x": "y"})]
    assert stats["msgInCounter"] == stats["msgOutCounter"] == 1
    subscription = stats["subscriptions"]["s"]
    assert (subscription["type"], subscription["activeConsumerName"]) == ("Failover", "first")
    assert subscription["consumers"][0]["consumerName"] == "first"
    internal = admin.get(f"/{topic}/internalStats").json()
    assert internal["numberOfEntries"] == 1
    assert set(internal["cursors"]) == {"s"}
    assert admin.put(f"/{topic}/unload").status_code == 204


def test_schemas_are_added_found_judged_and_deleted(admin: httpx.Client, topic: str) -> None:
    """Versions count from 0; an incompatible schema is refused; after deletion anything may come."""
    base = "/schemas/" + topic.removeprefix("persistent/")
    one = {
        "type": "AVRO",
        "schema": '{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}',
        "properties": {},
    }
    two = {**one, "schema": '{"type":"record","name":"R","fields":[{"name":"b","type":"int"}]}'}
    assert admin.post(f"{base}/schema", json=one).json() == {"version": {"version": 0}}
    assert admin.post(f"{base}/schema", json=one).json() == {"version": {"version": 0}}
    assert admin.post(f"{base}/schema", json=two).status_code == 409
    assert admin.post(f"{base}/compatibility", json=two).json()["compatibility"] is False
    assert admin.post(f"{base}/version", json=one).json() == {"version": 0}
    found = admin.get(f"{base}/schema").json()
    assert (found["type"], found["data"], found["version"]) == ("AVRO", one["schema"], 0)
    assert len(admin.get(f"{base}/schemas").json()["getSchemaResponses"]) == 1
    assert admin.delete(f"{base}/schema").json() == {"version": 1}
    assert admin.get(f"{base}/schema").status_code == 404
    assert admin.post(f"{base}/schema", json=two).json() == {"version": {"version": 2}}
    assert admin.get(f"{base}/schema/0").json()["data"] == one["schema"]
    assert admin.post(f"{base}/schema", json={"type": "NOVEL", "schema": ""}).status_code == 400


def test_packages_are_uploaded_whole_or_not_at_all(pulsar_broker: RunningBroker) -> None:
    """A version has a description and a file; an upload cut short leaves nothing."""
    path = f"/admin/v3/packages/function/public/default/p-{uuid.uuid4().hex}"
    with httpx.Client(base_url=pulsar_broker.admin_url) as http:
        form = {"metadata": (None, '{"description": "d", "properties": {"a": "b"}}', "application/json")}
        assert http.post(f"{path}/v1", files={**form, "file": ("f.py", b"x" * 3_000_000)}).status_code == 204
        assert http.post(f"{path}/v1", files={**form, "file": ("f.py", b"y")}).status_code == 409
        assert http.get(f"{path}/v1").content == b"x" * 3_000_000
        described = http.get(f"{path}/v1/metadata").json()
        assert (described["description"], described["properties"]) == ("d", {"a": "b"})
        assert http.put(f"{path}/v1/metadata", json={"description": "e"}).status_code == 204
        assert http.get(f"{path}/v1/metadata").json()["description"] == "e"
        assert http.get(path).json() == ["v1"]
        body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhalf'
        head = {"Content-Type": "multipart/form-data; boundary=b"}
        cut = http.post(f"{path}/v2", content=body, headers=head)
        assert cut.status_code == 400
        assert "cut short" in cut.json()["reason"]
        assert http.get(path).json() == ["v1"]
        assert http.delete(f"{path}/v1").status_code == 204
        assert http.get(path).status_code == 404
        assert http.post("/admin/v3/packages/novel/public/default/p/v1", files=form).status_code == 400
        assert http.get("/admin/v3/packages/function/public/default/%2E%2E/%2E%2E").status_code == 400


def test_a_lookup_over_http_leads_to_the_binary_protocol(pulsar_broker: RunningBroker, topic: str) -> None:
    """Clients with an HTTP service URL ask so."""
    path = f"{pulsar_broker.admin_url}/lookup/v2/topic/{topic}"
    found = httpx.get(path).json()
    assert {name: url for name, url in found.items() if url} == {
        "httpUrl": pulsar_broker.admin_url,
        "brokerUrl": pulsar_broker.service_url,
        "nativeUrl": pulsar_broker.service_url,
    }
    assert httpx.get(f"{path}/bundle").text == "0x00000000_0xffffffff"


def test_what_a_web_page_could_send_is_refused(admin: httpx.Client) -> None:
    """A foreign origin may change nothing, and a foreign host see nothing."""
    assert admin.put("/tenants/evil", json={}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert admin.get("/tenants", headers={"Host": "evil.example"}).status_code == 403


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", b"431"),
        (b"POST /admin/v2/tenants HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n", b"400"),
        (b"GET /admin/v2/nowhere/at/all/and/more HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
        (b"PATCH /admin/v2/tenants HTTP/1.1\r\nHost: localhost\r\n\r\n", b"405"),
        (b"PUT /admin/v2/tenants/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n[1}", b"400"),
        (b"HEAD /admin/v2/tenants HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"200"),
    ],
)
def test_bad_requests_are_answered_and_hurt_nobody(pulsar_broker: RunningBroker, sent: bytes, status: bytes) -> None:
    """Each gets its status, and the next request is served."""
    port = int(pulsar_broker.admin_url.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(sent)
        assert connection.recv(1000).split(b" ")[1] == status
    assert httpx.get(f"{pulsar_broker.admin_url}/admin/v2/brokers/health").text == "ok"
