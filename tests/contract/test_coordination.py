import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pulsar
import pytest
from coordination_fleet import Fleet, WorkerProcess, fast, fleet_of, function, placed, until, versions
from magnetar.broker_admin import BrokerAdmin
from magnetar.coordination import CoordinationSettings, PulsarCoordination
from magnetar.coordination.base import DrainState, DrainStatus
from magnetar.errors import DrainedError, NotReadyError, OutOfDateError, RefusedError, StartError
from magnetar.pulsar_client import EARLIEST, Message, PulsarClient
from magnetar_broker.testing import RunningBroker, running_broker
from magnetar_instance.proto.function import Assignment, FunctionMetaData, ServiceRequest
from pulsar_bed.bed import Addresses, requires_pulsar


@pytest.fixture
def namespace() -> str:
    return f"public/functions-{uuid.uuid4().hex}"


@pytest.fixture(params=["embedded", pytest.param("pulsar", marks=[requires_pulsar(), pytest.mark.timeout(300)])])
def addresses(request: pytest.FixtureRequest, pulsar_broker: RunningBroker) -> Addresses:
    """Every test that names no broker runs against the embedded one and against a real Pulsar.

    The session's broker is there before the test, whose leaks are looked for, begins.
    """
    if request.param == "pulsar":
        return request.getfixturevalue("real_pulsar")
    return Addresses(pulsar_broker.service_url, pulsar_broker.admin_url)


@pytest.fixture
async def fleet(addresses: Addresses, namespace: str) -> AsyncIterator[Fleet]:
    async with fleet_of(addresses, namespace) as made:
        yield made


@pytest.fixture
def official(addresses: Addresses) -> Iterator[pulsar.Client]:
    client = pulsar.Client(addresses.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    yield client
    client.close()


async def messages(addresses: Addresses, topic: str, *, compacted: bool = False) -> list[Message]:
    async with PulsarClient(addresses.service_url) as client:
        return await (await client.reader(topic, EARLIEST, compacted=compacted)).read_available()


both_forms = pytest.mark.parametrize("compacted", [False, True], ids=["requests", "compacted"])


async def test_a_written_function_is_placed_and_everyone_who_waits_hears_of_it(fleet: Fleet) -> None:
    """Alone in the fleet a worker leads at once; a write is there when it returns, its instances soon after."""
    worker = await fleet.start("a")
    assert worker.is_leader
    seen = worker.generation
    await worker.write(function("f", parallelism=2))
    assert versions(worker) == {"f": 0}
    assert await worker.changed(seen) > seen
    await until(worker, lambda: placed(worker) == {"f:0": "a", "f:1": "a"})
    await worker.write(function("f", version=1))
    await until(worker, lambda: placed(worker) == {"f:0": "a"})
    assert worker.assignments["public/default/f:0"].instance.functionMetaData.version == 1


@both_forms
async def test_a_restarted_fleet_finds_everything(fleet: Fleet, *, compacted: bool) -> None:
    """Functions and assignments are the broker's, not the worker's."""
    worker = await fleet.start("a", compacted_metadata=compacted)
    for name in "fgh":
        await worker.write(function(name, parallelism=2))
    await worker.write(function("g", version=1))
    await worker.delete(function("h", version=1))
    await until(worker, lambda: placed(worker) == {"f:0": "a", "f:1": "a", "g:0": "a"})
    await fleet.stop("a")
    again = await fleet.start("a", compacted_metadata=compacted)
    assert versions(again) == {"f": 0, "g": 1}
    assert placed(again) == {"f:0": "a", "f:1": "a", "g:0": "a"}


@both_forms
async def test_a_deleted_name_is_free_again(fleet: Fleet, *, compacted: bool) -> None:
    """A deletion needs a higher version, takes the instances away, and the name starts anew from any version."""
    worker = await fleet.start("a", compacted_metadata=compacted)
    await worker.write(function("f", version=5))
    await until(worker, lambda: placed(worker) == {"f:0": "a"})
    with pytest.raises(OutOfDateError, match="public/default/f"):
        await worker.delete(function("f", version=5))
    await worker.delete(function("f", version=6))
    assert versions(worker) == {}
    await until(worker, lambda: placed(worker) == {})
    with pytest.raises(OutOfDateError):
        await worker.delete(function("f", version=7))
    await worker.write(function("f"))
    assert versions(worker) == {"f": 0}
    await fleet.stop("a")
    assert versions(await fleet.start("a", compacted_metadata=compacted)) == {"f": 0}


async def test_a_fleet_has_one_leader_and_all_see_the_same(fleet: Fleet) -> None:
    """The instances are spread; a write of the other goes through the leader and is seen at once."""
    await fleet.start("a")
    await fleet.start("b")
    first, second = await fleet.settled()
    assert {member.worker_id for member in await second.members()} == {"a", "b"}
    await second.write(function("f", parallelism=4))
    assert fleet.forwarded == [fleet.name_of(first)]
    assert versions(second) == {"f": 0}
    for worker in (first, second):
        await until(worker, lambda worker=worker: placed(worker) == {"f:0": "a", "f:1": "b", "f:2": "a", "f:3": "b"})
    with pytest.raises(OutOfDateError):
        await second.write(function("f"))
    await second.delete(function("f", version=1))
    assert versions(second) == {}
    for worker in (first, second):
        await until(worker, lambda worker=worker: placed(worker) == {})


async def test_of_many_creates_at_once_exactly_one_wins(fleet: Fleet) -> None:
    """From every worker of the fleet, all others are told that they came too late."""
    workers = [await fleet.start(name) for name in "abc"]
    await fleet.settled()
    told: list[str] = []

    async def create(worker: PulsarCoordination) -> None:
        try:
            await worker.write(function("f"))
        except OutOfDateError:
            told.append("late")
        else:
            told.append("won")

    async with anyio.create_task_group() as tasks:
        for n in range(12):
            tasks.start_soon(create, workers[n % 3])
    assert sorted(told) == ["late"] * 11 + ["won"]


async def test_when_the_leader_leaves_another_takes_over(fleet: Fleet) -> None:
    """The successor leads, and after the reschedule timeout has the instances that the other one had."""
    await fleet.start("a")
    await fleet.start("b")
    first, second = await fleet.settled()
    await first.write(function("f", parallelism=2))
    await until(second, lambda: placed(second) == {"f:0": "a", "f:1": "b"})
    await fleet.stop(fleet.name_of(first))
    await until(second, lambda: second.is_leader)
    await second.write(function("g"))
    mine = fleet.name_of(second)
    await until(second, lambda: placed(second) == {"f:0": mine, "f:1": mine, "g:0": mine})


async def test_when_the_leader_is_killed_another_takes_over(fleet: Fleet, addresses: Addresses) -> None:
    """Nothing is lost, and a worker that comes back under the old name is a follower."""
    process = WorkerProcess("a", fleet.namespace, addresses)
    try:
        for name in "bcdefghijkl":
            second = await fleet.start(name, reschedule_timeout=1)
            leader = await second.leader()
            if leader is not None and leader.worker_id == "a":
                break
            await fleet.stop(name)
    finally:
        process.kill()
    await until(second, lambda: second.is_leader)
    await second.write(function("f", parallelism=2))
    await until(second, lambda: placed(second) == {"f:0": name, "f:1": name})
    again = await fleet.start("a")
    assert placed(again) == placed(second)


async def test_a_worker_that_is_away_for_a_moment_keeps_its_instances(fleet: Fleet) -> None:
    """Back before the reschedule timeout, it finds what it had."""
    for name in "ab":
        await fleet.start(name, reschedule_timeout=20)
    first, second = await fleet.settled()
    await first.write(function("f", parallelism=2))
    await until(first, lambda: placed(first) == {"f:0": "a", "f:1": "b"})
    await fleet.stop(fleet.name_of(second))
    again = await fleet.start(fleet.name_of(second), reschedule_timeout=20)
    await first.write(function("g", parallelism=2))
    await until(again, lambda: placed(again) == {"f:0": "a", "f:1": "b", "g:0": "a", "g:1": "b"})


async def test_a_leader_that_was_fenced_stops_writing_and_learns_what_it_missed(
    fleet: Fleet, official: pulsar.Client
) -> None:
    """Its write is refused as not ready; once the topic is free it leads again with what the other one wrote."""
    worker = await fleet.start("a")
    await worker.write(function("f"))
    topic = f"persistent://{fleet.namespace}/metadata"
    access = pulsar.ProducerAccessMode.ExclusiveWithFencing
    intruder = official.create_producer(topic, "other-leader", access_mode=access)
    request = ServiceRequest(functionMetaData=function("g"), serviceRequestType=ServiceRequest.UPDATE)
    intruder.send(request.SerializeToString())
    with pytest.raises(NotReadyError, match="try again"):
        await worker.write(function("f", version=1))
    await until(worker, lambda: not worker.is_leader)
    await until(worker, lambda: versions(worker) == {"f": 0, "g": 0})
    intruder.close()
    await until(worker, lambda: worker.is_leader)
    await worker.write(function("f", version=1))
    await until(worker, lambda: placed(worker) == {"f:0": "a", "g:0": "a"})


async def test_a_write_that_nobody_waits_for_any_more_is_whole(fleet: Fleet) -> None:
    """Given up at any moment, it is either nowhere or both stored and known."""
    worker = await fleet.start("a")
    for n in range(20):
        with anyio.move_on_after(n * 0.0001):
            await worker.write(function(f"f{n}"))
    await worker.write(function("last"))
    known = versions(worker)
    await fleet.stop("a")
    assert versions(await fleet.start("a")) == known


async def test_compaction_keeps_the_last_of_each_and_new_workers_read_no_more(
    fleet: Fleet, addresses: Addresses
) -> None:
    """After the period both topics read short, and a follower that tailed all the while sees the same."""
    worker = await fleet.start("a", compacted_metadata=True, compaction_interval=0.2)
    for version in range(20):
        await worker.write(function("f", version))
        await worker.write(function("g", version))
    await worker.delete(function("g", 20))
    follower = await fleet.start("b", compacted_metadata=True, compaction_interval=0.2)
    await until(worker, lambda: set(placed(worker)) == {"f:0"})
    for topic in ("metadata", "assignments"):
        name = f"persistent://{fleet.namespace}/{topic}"
        with anyio.fail_after(30):
            while len(found := await messages(addresses, name, compacted=True)) != 1:
                await anyio.lowlevel.checkpoint()
        assert found[0].key.startswith("public/default/f")
        assert len(await messages(addresses, name)) > 1
    await until(follower, lambda: versions(follower) == {"f": 19} and placed(follower) == placed(worker))


async def test_the_setting_of_the_metadata_topic_can_be_changed_there_and_back(fleet: Fleet) -> None:
    """Functions written in one form are found, updated and deleted in the other."""
    worker = await fleet.start("a")
    await worker.write(function("f"))
    await worker.write(function("g"))
    await fleet.stop("a")
    worker = await fleet.start("a", compacted_metadata=True)
    assert versions(worker) == {"f": 0, "g": 0}
    await worker.write(function("f", version=1))
    await worker.delete(function("g", version=1))
    await worker.write(function("h"))
    await fleet.stop("a")
    worker = await fleet.start("a")
    assert versions(worker) == {"f": 1, "h": 0}


async def test_what_stands_in_the_topics_is_pulsars(fleet: Fleet, addresses: Addresses) -> None:
    """Names, keys, properties and contents are those that Pulsar's workers write and read."""
    worker = await fleet.start("a")
    await worker.write(function("f"))
    await until(worker, lambda: placed(worker) == {"f:0": "a"})
    await worker.delete(function("f", version=1))
    await until(worker, lambda: placed(worker) == {})
    base = f"persistent://{fleet.namespace}"
    written, deleted = await messages(addresses, f"{base}/metadata")
    request = ServiceRequest.FromString(written.data)
    assert (written.key, written.properties) == ("", {"version": "0"})
    assert (request.serviceRequestType, request.workerId) == (ServiceRequest.UPDATE, "a")
    assert request.functionMetaData == function("f")
    assert uuid.UUID(request.requestId)
    assert deleted.properties == {"version": "1"}
    assert ServiceRequest.FromString(deleted.data).serviceRequestType == ServiceRequest.DELETE
    assigned, removed = await messages(addresses, f"{base}/assignments")
    assert (assigned.key, removed.key, removed.data) == ("public/default/f:0", "public/default/f:0", b"")
    assert Assignment.FromString(assigned.data).workerId == "a"
    async with BrokerAdmin(addresses.admin_url) as admin:
        publishers = {topic: (await admin.topic_stats(f"{base}/{topic}")).publishers for topic in TOPICS}
        participants = (await admin.topic_stats(f"{base}/coordinate")).subscriptions["participants"]
    assert [(each.name, each.access_mode) for each in publishers["metadata"]] == [("a-leader", "Exclusive")]
    assert [(each.name, each.access_mode) for each in publishers["assignments"]] == [
        ("a-scheduler-manager", "Exclusive")
    ]
    assert participants.kind == "Failover"
    assert participants.active_consumer == "a:localhost:6750"
    assert [each.properties for each in participants.consumers] == [{"id": "a:localhost:6750"}]


TOPICS = ("metadata", "assignments", "coordinate")


async def test_the_compacted_form_is_pulsars(fleet: Fleet, addresses: Addresses) -> None:
    """Under the function's name stands its metadata; empty data deletes."""
    worker = await fleet.start("a", compacted_metadata=True)
    await worker.write(function("f"))
    await worker.delete(function("f", version=1))
    written, deleted = await messages(addresses, f"persistent://{fleet.namespace}/metadata")
    assert (written.key, written.properties) == ("public/default/f", {"version": "0"})
    assert FunctionMetaData.FromString(written.data) == function("f")
    assert (deleted.key, deleted.data, deleted.properties) == ("public/default/f", b"", {"version": "1"})


async def test_the_first_worker_makes_a_namespace_that_keeps_everything(fleet: Fleet, addresses: Addresses) -> None:
    """Retention is without end, and the topics have no partitions."""
    await fleet.start("a")
    async with httpx.AsyncClient(base_url=addresses.admin_url) as http:
        retention = (await http.get(f"/admin/v2/namespaces/{fleet.namespace}/retention")).json()
    assert retention == {"retentionTimeInMinutes": -1, "retentionSizeInMB": -1}
    async with BrokerAdmin(addresses.admin_url) as admin:
        assert sorted(await admin.topics(fleet.namespace)) == sorted(
            f"persistent://{fleet.namespace}/{topic}" for topic in TOPICS
        )


async def test_a_message_that_is_none_of_a_workers_is_skipped(fleet: Fleet, official: pulsar.Client) -> None:
    """Whatever stands between them, the functions before and after it are found."""
    worker = await fleet.start("a")
    await worker.write(function("f"))
    await fleet.stop("a")
    producer = official.create_producer(f"persistent://{fleet.namespace}/metadata")
    for data, key in ((b"\xff\xff", None), (b"", None), (b"", "no version"), (b"\xff", "public/default/x")):
        producer.send(data, partition_key=key)
    stray = official.create_producer(f"persistent://{fleet.namespace}/assignments")
    stray.send(b"\xff", partition_key="public/default/f:7")
    stray.send(b"", partition_key="nonsense")
    stray.close()
    producer.close()
    worker = await fleet.start("a")
    assert versions(worker) == {"f": 0}
    await worker.write(function("g"))
    await until(worker, lambda: placed(worker) == {"f:0": "a", "g:0": "a"})


async def test_where_another_system_spreads_the_instances_one_assignment_stands_for_all(fleet: Fleet) -> None:
    """Its number is -1."""
    worker = await fleet.start("a", externally_managed=lambda _: True)
    await worker.write(function("f", parallelism=3))
    await until(worker, lambda: placed(worker) == {"f:-1": "a"})


async def test_rebalancing_gives_a_newcomer_its_share(fleet: Fleet) -> None:
    """Asked for, or by the period of the config, as few instances as needed move."""
    first = await fleet.start("a")
    await first.write(function("f", parallelism=4))
    await until(first, lambda: len(placed(first)) == 4)
    await fleet.start("b")
    first, second = await fleet.settled()
    await first.rebalance()
    assert sorted(placed(first).values()) == ["a", "a", "b", "b"]
    await until(second, lambda: placed(second) == placed(first))
    with pytest.raises(NotReadyError, match="leader"):
        await second.rebalance()
    await fleet.stop(fleet.name_of(first))
    await until(second, lambda: second.is_leader and set(placed(second).values()) == {fleet.name_of(second)})
    with pytest.raises(RefusedError, match="fleet of one"):
        await second.rebalance()


async def test_a_drained_worker_gets_nothing_until_it_has_left_and_come_back(fleet: Fleet) -> None:
    """Its instances move at once, new ones and a rebalance pass it by, and a new start makes it as good as new."""
    await fleet.start("a")
    await fleet.start("b")
    leader, second = await fleet.settled()
    mine, other = fleet.name_of(leader), fleet.name_of(second)
    await leader.write(function("f", parallelism=4))
    await until(leader, lambda: sorted(placed(leader).values()) == ["a", "a", "b", "b"])
    assert await leader.drain_status(other) == DrainStatus(DrainState.NOT_RUN)
    await leader.drain(other)
    assert set(placed(leader).values()) == {mine}
    assert await leader.drain_status(other) == DrainStatus(DrainState.SUCCESS)
    await until(second, lambda: placed(second) == placed(leader))
    await leader.write(function("g"))
    await until(leader, lambda: placed(leader).get("g:0") == mine)
    for refused in (leader.rebalance, lambda: leader.drain(mine)):
        with pytest.raises(RefusedError, match="start another"):
            await refused()
    with pytest.raises(DrainedError, match=f"{other} was drained"):
        await leader.drain(other)
    await fleet.stop(other)
    assert (await leader.drain_status(other)).state is DrainState.ERROR
    await fleet.start(other)
    await leader.rebalance()
    assert Counter(placed(leader).values()) == {mine: 3, other: 2}


async def test_what_cannot_be_drained_is_refused_by_name(fleet: Fleet) -> None:
    """A stranger, and every worker of one that does not lead."""
    await fleet.start("a")
    await fleet.start("b")
    leader, second = await fleet.settled()
    with pytest.raises(RefusedError, match=r"'x' is not in the fleet.*a, b"):
        await leader.drain("x")
    assert (await leader.drain_status("x")).state is DrainState.ERROR
    for refused in (second.drain, second.drain_status):
        with pytest.raises(NotReadyError, match="does not lead"):
            await refused("b")


async def test_rebalancing_by_the_period_of_the_config(fleet: Fleet) -> None:
    """Nobody asks, and the newcomer has its share all the same."""
    first = await fleet.start("a", rebalance_interval=0.2)
    await first.write(function("f", parallelism=4))
    await fleet.start("b", rebalance_interval=0.2)
    await until(first, lambda: sorted(placed(first).values()) == ["a", "a", "b", "b"])


@pytest.mark.parametrize("signal", ["stop", "kill"])
async def test_a_broker_that_was_away_is_found_again(signal: str, namespace: str) -> None:
    """After the broker's restart the worker leads, remembers and writes."""
    with running_broker() as broker:
        async with fleet_of(Addresses(broker.service_url, broker.admin_url), namespace) as fleet:
            worker = await fleet.start("a")
            await worker.write(function("f"))
            await until(worker, lambda: placed(worker) == {"f:0": "a"})
            await anyio.to_thread.run_sync(getattr(broker, signal))
            await anyio.to_thread.run_sync(broker.restart)
            with anyio.fail_after(50):
                while True:
                    try:
                        await worker.write(function("g"))
                    except NotReadyError:
                        await anyio.lowlevel.checkpoint()
                    except OutOfDateError:
                        break  # an attempt that was not confirmed was stored
                    else:
                        break
            await until(worker, lambda: worker.is_leader and placed(worker) == {"f:0": "a", "g:0": "a"})


async def test_a_broker_that_comes_later_is_waited_for(
    namespace: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that was started first begins as soon as the broker is there."""
    caplog.set_level("INFO", "magnetar")
    with running_broker(tmp_path) as broker:
        addresses = Addresses(broker.service_url, broker.admin_url)
        await anyio.to_thread.run_sync(broker.kill)
        started: list[PulsarCoordination] = []

        async def start(fleet: Fleet) -> None:
            started.append(await fleet.start("a"))

        async with fleet_of(addresses, namespace) as fleet, anyio.create_task_group() as tasks:
            tasks.start_soon(start, fleet)
            while "waiting for the broker" not in caplog.text:
                await anyio.lowlevel.checkpoint()
            assert not started
            await anyio.to_thread.run_sync(broker.restart)
        assert started


async def test_without_a_broker_the_start_fails_and_says_where_it_looked() -> None:
    """The error names the address and what to correct."""
    settings = fast("a", "public/functions", start_patience=0.2)
    async with BrokerAdmin("http://127.0.0.1:1") as admin, PulsarClient("pulsar://127.0.0.1:1") as client:
        with pytest.raises(NotReadyError, match=r"127\.0\.0\.1:1.*pulsarWebServiceUrl"):
            async with PulsarCoordination(settings, admin, client, _nobody):
                pass


async def _nobody(*_: object, delete: bool) -> None:
    raise AssertionError


@pytest.mark.parametrize(("worker_id", "host"), [("a:b", "h"), ("", "h"), ("a", "::1")])
def test_names_that_others_could_not_read_are_refused(worker_id: str, host: str) -> None:
    """A worker's name travels as three parts with colons between them."""
    with pytest.raises(StartError, match=r"worker(Id|Hostname)"):
        CoordinationSettings(worker_id, host, 1)
