import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pulsar
import pytest
from magnetar.broker_admin import BrokerAdmin, PackageMetadata
from magnetar.credentials import BrokerCredentials
from magnetar.errors import BrokerRefusedError, NotReadyError, RefusedError
from magnetar_broker.testing import RunningBroker


@pytest.fixture
async def admin(pulsar_broker: RunningBroker) -> AsyncIterator[BrokerAdmin]:
    async with BrokerAdmin(pulsar_broker.admin_url) as made:
        yield made


@pytest.fixture
def name() -> str:
    return f"n-{uuid.uuid4().hex}"


async def test_tenants_namespaces_and_topics_are_created_once(admin: BrokerAdmin, name: str) -> None:
    """Creating tells whether it was there already, and what was created is listed."""
    assert await admin.clusters()
    assert await admin.create_tenant(name, ["standalone"])
    assert not await admin.create_tenant(name, ["standalone"])
    assert name in await admin.tenants()
    assert await admin.create_namespace(f"{name}/a", {"retention_policies": {"retentionSizeInMB": -1}})
    assert not await admin.create_namespace(f"{name}/a")
    assert await admin.namespaces(name) == [f"{name}/a"]
    topic = f"persistent://{name}/a/t"
    assert await admin.create_topic(topic)
    assert not await admin.create_topic(topic)
    assert await admin.topics(f"{name}/a") == [topic]
    assert await admin.partitions(topic) == 0


async def test_a_topics_figures_name_its_clients(admin: BrokerAdmin, pulsar_broker: RunningBroker, name: str) -> None:
    """Producers, the active consumer and consumers' properties are there."""
    topic = f"persistent://public/default/{name}"
    client = pulsar.Client(pulsar_broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    try:
        consumers = [
            client.subscribe(topic, "s", pulsar.ConsumerType.Failover, consumer_name=each, properties={"id": each})
            for each in "ab"
        ]
        producer = client.create_producer(topic, "p", access_mode=pulsar.ProducerAccessMode.Exclusive)
        producer.send(b"x")
        stats = await admin.topic_stats(topic)
        last = await admin.last_message_id(topic)
    finally:
        client.close()
    assert len(consumers) == 2
    assert [(each.name, each.access_mode) for each in stats.publishers] == [("p", "Exclusive")]
    subscription = stats.subscriptions["s"]
    assert subscription.kind == "Failover"
    assert subscription.active_consumer == "a"
    assert subscription.backlog == 1
    assert {each.name: each.properties["id"] for each in subscription.consumers} == {"a": "a", "b": "b"}
    assert last.entry_id == 0


async def test_subscriptions_come_and_go(admin: BrokerAdmin, name: str) -> None:
    """A subscription is created at the earliest message, once, and deleted; an unknown one is refused with 404."""
    topic = f"persistent://public/default/{name}"
    await admin.create_topic(topic)
    assert await admin.create_subscription(topic, "a/b c")
    assert not await admin.create_subscription(topic, "a/b c")
    assert await admin.subscriptions(topic) == ["a/b c"]
    await admin.delete_subscription(topic, "a/b c", force=True)
    with pytest.raises(BrokerRefusedError) as refused:
        await admin.delete_subscription(topic, "a/b c")
    assert refused.value.status == 404


async def test_compaction_is_asked_for(admin: BrokerAdmin, name: str) -> None:
    """A topic that is there takes the request; one that is not is refused by name."""
    topic = f"persistent://public/default/{name}"
    await admin.create_topic(topic)
    assert await admin.compact(topic)
    with pytest.raises(BrokerRefusedError, match="other"):
        await admin.compact(f"{topic}-other")


async def test_a_package_comes_back_byte_for_byte(admin: BrokerAdmin, name: str, tmp_path: Path) -> None:
    """Upload, list, download and delete; megabytes travel as they are."""
    source, target = tmp_path / "my code.zip", tmp_path / "back"
    source.write_bytes(bytes(range(256)) * 20_000)
    url = f"function://public/default/{name}@v1"
    await admin.upload_package(url, source, PackageMetadata("what it does", properties={"fileName": source.name}))
    assert await admin.package_versions(f"function://public/default/{name}") == ["v1"]
    await admin.download_package(url, target)
    assert target.read_bytes() == source.read_bytes()
    await admin.delete_package(url)
    with pytest.raises(BrokerRefusedError) as refused:
        await admin.download_package(url, target)
    assert refused.value.status == 404


@pytest.mark.parametrize("url", ["function://a/b", "http://x/y.py", "function://a/b/c/d@1"])
async def test_what_is_no_package_url_is_refused(admin: BrokerAdmin, url: str) -> None:
    """The error shows the form that is wanted."""
    with pytest.raises(RefusedError, match="function://tenant/namespace/name@version"):
        await admin.delete_package(url)


async def test_silence_is_not_ready_with_the_address_and_the_remedy() -> None:
    """Nobody listens on port 1: the error says where it looked and which setting to correct."""
    async with BrokerAdmin("http://127.0.0.1:1") as admin:
        with pytest.raises(NotReadyError, match=r"http://127\.0\.0\.1:1/.*pulsarWebServiceUrl"):
            await admin.clusters()


@asynccontextmanager
async def http_server(answer: Callable[[str], bytes]) -> AsyncIterator[tuple[str, list[str]]]:
    """Serve answers made from the request's head; yields the URL and the heads seen."""
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        seen.append(head)
        writer.write(answer(head))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen


async def test_credentials_follow_a_redirect_to_another_broker() -> None:
    """A broker that does not own the topic sends to the owner, who asks for the token too."""
    body = b'["standalone"]'
    ok = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
    async with http_server(lambda _: ok) as (owner, seen):
        moved = (
            f"HTTP/1.1 307 x\r\nconnection: close\r\nlocation: {owner}/admin/v2/clusters\r\ncontent-length: 0\r\n\r\n"
        )
        async with (
            http_server(lambda _: moved.encode()) as (other, _),
            BrokerAdmin(other, BrokerCredentials("token", "token:abc")) as admin,
        ):
            assert await admin.clusters() == ["standalone"]
    assert "authorization: bearer abc" in seen[0].lower()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: b"HTTP/1.1 307 x\r\nconnection: close\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n", "redirected"),
        (lambda: b"HTTP/1.1 307 x\r\nconnection: close\r\nlocation: https://x/\r\ncontent-length: 0\r\n\r\n", "https"),
        (lambda: b"no http at all\r\n\r\n", "does not answer"),
    ],
)
async def test_an_answer_that_leads_nowhere_is_not_ready(make: Callable[[], bytes], says: str) -> None:
    """A loop of redirects, a change of scheme and noise are told as such, without an endless loop."""
    async with http_server(lambda _: make()) as (url, seen), BrokerAdmin(url) as admin:
        with pytest.raises(NotReadyError, match=says):
            await admin.clusters()
    assert len(seen) <= 5


async def test_a_refusal_tells_the_brokers_reason() -> None:
    """The status and Pulsar's reason come through; a page of HTML gives its first line."""
    for body, reason in ((b'{"reason": "Namespace bundle gone"}', "Namespace bundle gone"), (b"<html>\nx", "<html>")):
        answer = b"HTTP/1.1 412 x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)
        async with http_server(lambda _, answer=answer: answer) as (url, _), BrokerAdmin(url) as admin:
            with pytest.raises(BrokerRefusedError, match=reason) as error:
                await admin.tenants()
        assert error.value.status == 412
