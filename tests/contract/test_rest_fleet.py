"""Two workers of one fleet, asked over REST: what one does not have, the other is asked for or the client is sent to."""

import json
from collections.abc import AsyncIterator, Callable
from itertools import count
from pathlib import Path

import anyio
import httpx
import pytest
from magnetar.errors import OutOfDateError
from magnetar.functions.peers import Peers
from magnetar_broker.testing import RunningBroker
from magnetar_instance.proto.function import FunctionMetaData
from rest_fleet import FleetWorker, fleet_worker

pytestmark = pytest.mark.anyio
BASE = "/admin/v3/functions/public/default"
numbers = count()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def pair(pulsar_broker: RunningBroker, tmp_path: Path) -> AsyncIterator[tuple[FleetWorker, FleetWorker]]:
    """The leader and another worker."""
    namespace = f"public/rest-fleet-{next(numbers)}"
    async with (
        fleet_worker(pulsar_broker, namespace, "one", tmp_path / "one", trigger_timeout=0.2) as one,
        fleet_worker(pulsar_broker, namespace, "two", tmp_path / "two", trigger_timeout=0.2) as two,
    ):
        with anyio.fail_after(30):
            while not one.coordination.is_leader and not two.coordination.is_leader:
                await one.coordination.changed(one.coordination.generation)
            yield (one, two) if one.coordination.is_leader else (two, one)


async def until(worker: FleetWorker, holds: Callable[[], bool]) -> None:
    """Wait until something holds that follows the worker's functions, assignments or instances."""

    async def after(changed: Callable[[int], object], generation: int, scope: anyio.CancelScope) -> None:
        await changed(generation)  # type: ignore[misc]
        scope.cancel()

    with anyio.fail_after(30):
        while not holds():
            async with anyio.create_task_group() as tasks:
                for source in (worker.coordination, worker.supervisor):
                    tasks.start_soon(after, source.changed, source.generation, tasks.cancel_scope)


def owner(worker: FleetWorker, name: str, instance: int) -> str | None:
    found = worker.coordination.assignments.get(f"public/default/{name}:{instance}")
    return found.workerId if found else None


async def spread(pair: tuple[FleetWorker, FleetWorker], name: str, through: FleetWorker) -> None:
    """Create a function of two instances, one on each worker, and wait until both run."""
    answer = await through.create(name, parallelism=2)
    assert answer.status_code == 204, answer.text
    for worker in pair:
        await until(worker, lambda worker=worker: {owner(worker, name, 0), owner(worker, name, 1)} == {"one", "two"})
        await until(
            worker,
            lambda worker=worker: any(
                view.fqfn.endswith(f"/{name}") and view.phase == "running" for view in worker.supervisor.views()
            ),
        )


async def test_any_worker_creates(pair: tuple[FleetWorker, FleetWorker]) -> None:
    """A create on the worker that does not lead is written by the leader, and both know the function."""
    leader, other = pair
    await spread(pair, "f", through=other)
    for worker in (leader, other):
        assert (await worker.http.get(BASE)).json() == ["f"]
        assert (await worker.http.get(f"{BASE}/f")).json()["parallelism"] == 2


async def test_a_name_is_taken_once_in_the_fleet(pair: tuple[FleetWorker, FleetWorker]) -> None:
    """Of creates at once on both workers exactly one succeeds; the others are 400, and one package stays."""
    answers: list[httpx.Response] = []

    async def create(worker: FleetWorker) -> None:
        answers.append(await worker.create("once"))

    async with anyio.create_task_group() as tasks:
        for worker in pair * 5:
            tasks.start_soon(create, worker)
    assert sorted(answer.status_code for answer in answers) == [204] + [400] * 9
    assert all("already exists" in answer.json()["reason"] for answer in answers if answer.status_code == 400)
    versions = await pair[0].admin.package_versions("function://public/default/once")
    assert len(versions) == 1
    assert (await pair[1].http.delete(f"{BASE}/once")).status_code == 204


async def test_status_and_stats_of_both(pair: tuple[FleetWorker, FleetWorker]) -> None:
    """Each worker tells of all instances; what only one has is asked there, or the client is sent there."""
    await spread(pair, "f", through=pair[0])
    for worker in pair:
        status = (await worker.http.get(f"{BASE}/f/status")).json()
        assert (status["numInstances"], status["numRunning"]) == (2, 2)
        assert {each["status"]["workerId"] for each in status["instances"]} == {"one", "two"}
        stats = (await worker.http.get(f"{BASE}/f/stats")).json()
        assert (stats["receivedTotal"], stats["avgProcessLatency"]) == (10, 2.0)
        assert [each["metrics"]["userMetrics"] for each in stats["instances"]] == [{"u": 1.0}] * 2
    for verb in ("status", "stats"):
        answers = [await pair[0].http.get(f"{BASE}/f/{each}/{verb}?a=%20b") for each in (0, 1)]
        assert sorted(answer.status_code for answer in answers) == [200, 307]
        [sent] = [answer.headers["Location"] for answer in answers if answer.status_code == 307]
        assert sent.startswith(f"{pair[1].url}{BASE}/f/")
        assert sent.endswith(f"/{verb}?a=%20b")
        assert (await pair[1].http.get(sent)).status_code == 200


async def test_restarts_on_both(pair: tuple[FleetWorker, FleetWorker]) -> None:
    """A restart of the function restarts every instance where it is; of one instance, on its own worker."""
    await spread(pair, "f", through=pair[0])
    assert (await pair[0].http.post(f"{BASE}/f/restart")).status_code == 204
    for worker in pair:
        await until(worker, lambda worker=worker: len(worker.runtime.started) == 2)
    answers = [await pair[0].http.post(f"{BASE}/f/{each}/restart") for each in (0, 1)]
    assert sorted(answer.status_code for answer in answers) == [204, 307]


async def test_log_levels_on_both(pair: tuple[FleetWorker, FleetWorker]) -> None:
    """A level is set on every instance where it is, or on one; who can't refuses by name."""
    await spread(pair, "f", through=pair[0])
    path = "/magnetar/v1/loglevel/public/default/f"
    assert (await pair[0].http.put(f"{path}?level=debug&seconds=60")).status_code == 204
    assert (await pair[0].http.put(f"{path}?level=warn&instance=1")).status_code == 204
    levels = {}
    for worker in pair:
        [instance] = [each for each in (0, 1) if owner(worker, "f", each) == worker.supervisor.views()[0].worker]
        levels[instance] = worker.supervisor.running(f"public/default/f:{instance}").levels  # type: ignore[attr-defined]
    assert levels == {0: [("DEBUG", 60.0)], 1: [("DEBUG", 60.0), ("WARNING", None)]}
    refused = await pair[0].http.put(f"{path}?level=critical")
    assert refused.status_code >= 400
    assert "have the function set it" in refused.json()["reason"]


async def test_logs_of_both(pair: tuple[FleetWorker, FleetWorker]) -> None:
    """Each worker shows and follows the logs of all instances."""
    await spread(pair, "f", through=pair[0])
    path = "/magnetar/v1/logs/public/default/f"
    wanted = [{"instanceId": each, "line": f"instance {each} started"} for each in (0, 1)]
    for worker in pair:
        found = (await worker.http.get(path)).json()
        assert sorted(found, key=lambda each: each["instanceId"]) == wanted
        async with worker.http.stream("GET", path, params={"follow": "true"}) as answer:
            lines = []
            async for line in answer.aiter_lines():
                if line.startswith("data:"):
                    lines.append(json.loads(line.removeprefix("data:")))
                if len(lines) == 2:
                    break
        assert sorted(lines, key=lambda each: each["instanceId"]) == wanted


async def test_a_followed_log_ends_with_its_function(pair: tuple[FleetWorker, FleetWorker]) -> None:
    """Whoever follows a function that is deleted gets the rest and the end."""
    await spread(pair, "f", through=pair[0])
    with anyio.fail_after(30):
        async with pair[0].http.stream("GET", "/magnetar/v1/logs/public/default/f?follow=true") as answer:
            assert (await pair[1].http.delete(f"{BASE}/f")).status_code == 204
            lines = [line async for line in answer.aiter_lines()]
    assert sum("started" in line for line in lines) == 2


async def test_the_last_one_cleans_up(pair: tuple[FleetWorker, FleetWorker]) -> None:
    """The subscription of a deleted function is deleted once, whichever worker is last."""
    await spread(pair, "gone", through=pair[0])
    topic = "persistent://public/default/gone-in"
    await pair[0].admin.create_topic(topic)
    await pair[0].admin.create_subscription(topic, "public/default/gone")
    await pair[0].admin.create_subscription(topic, "another")
    assert (await pair[1].http.delete(f"{BASE}/gone")).status_code == 204
    for worker in pair:
        await until(worker, lambda worker=worker: not worker.supervisor.views())
    assert await pair[0].admin.subscriptions(topic) == ["another"]


async def test_the_leader_alone_takes_changes(pair: tuple[FleetWorker, FleetWorker]) -> None:
    """A peer's change that reaches a worker without the lead is sent on; an old one is refused, a stranger's too."""
    leader, other = pair
    await spread(pair, "f", through=leader)
    metadata = leader.coordination.functions["public/default/f"]
    parts = {"functionMetaData": (None, metadata.SerializeToString()), "delete": (None, "false")}
    path = "/admin/v3/functions/leader/public/default/f"
    answer = await other.http.put(path, files=parts)
    assert answer.status_code == 307
    assert answer.headers["Location"] == f"{leader.url}{path}"
    answer = await leader.http.put(path, files=parts)
    assert answer.status_code == 400
    answer = await leader.http.put(f"{path[:-1]}g", files=parts)
    assert "not public/default/g" in answer.json()["reason"]
    answer = await leader.http.put(path, files={"functionMetaData": (None, b"\xff\xff")})
    assert answer.status_code == 400
    async with Peers() as peers:
        info = await other.coordination.leader()
        assert info is not None
        with pytest.raises(OutOfDateError):
            await peers.write(info, metadata)
        newer = FunctionMetaData()
        newer.CopyFrom(metadata)
        newer.version += 1
        await peers.write(info, newer)
    assert leader.coordination.functions["public/default/f"].version == metadata.version + 1


async def test_the_fleet_as_both_see_it(pair: tuple[FleetWorker, FleetWorker]) -> None:
    """Members, leader and assignments are the same wherever they are asked; only the leader says it is ready."""
    leader, other = pair
    await spread(pair, "f", through=leader)
    for path in ("cluster", "cluster/leader", "assignments"):
        answers = [(await worker.http.get(f"/admin/v2/worker/{path}")).json() for worker in pair]
        assert answers[0] == answers[1]
    assert (await leader.http.get("/admin/v2/worker/cluster/leader/ready")).json() is True
    assert (await other.http.get("/admin/v2/worker/cluster/leader/ready")).status_code == 503


async def test_rebalance(pair: tuple[FleetWorker, FleetWorker]) -> None:
    """The leader rebalances; the other worker sends the request on."""
    leader, other = pair
    assert (await leader.http.put("/admin/v2/worker/rebalance")).status_code == 204
    answer = await other.http.put("/admin/v2/worker/rebalance")
    assert answer.status_code == 307
    assert answer.headers["Location"] == f"{leader.url}/admin/v2/worker/rebalance"


async def test_drain(pair: tuple[FleetWorker, FleetWorker]) -> None:
    """A worker is drained through any worker; the one that does not lead sends on what is meant for itself, by name."""
    leader, other = pair
    one, named = "/admin/v2/worker/drain", "/admin/v2/worker/leader/drain"
    answer = await other.http.get(one)
    assert answer.status_code == 307
    at_leader = answer.headers["Location"]
    worker_id = other.functions.worker.worker_id
    assert at_leader == f"{leader.url}{named}?workerId={worker_id}"
    assert (await leader.http.get(at_leader)).json() == {"status": "NOT_RUN", "lastError": ""}
    assert (await leader.http.put(named, params={"workerId": "nobody"})).status_code == 400
    assert (await leader.http.get(named, params={"workerId": "nobody"})).json()["status"] == "ERROR"
    assert (await leader.http.put(at_leader)).status_code == 204
    assert (await leader.http.put(at_leader)).status_code == 412
    assert (await leader.http.get(at_leader)).json() == {"status": "SUCCESS", "lastError": ""}
    assert (await leader.http.put(one)).status_code == 400


async def test_a_trigger_without_an_answer(pair: tuple[FleetWorker, FleetWorker]) -> None:
    """When nothing comes out in time the answer is 408, and the message is in the topic."""
    await spread(pair, "f", through=pair[0])
    await pair[0].admin.create_topic("persistent://public/default/f-in")
    answer = await pair[0].http.post(f"{BASE}/f/trigger", content="x")
    assert answer.status_code == 408
    assert answer.json()["reason"].startswith("Request Timed Out")


async def test_nothing_before_the_worker_is_ready(pair: tuple[FleetWorker, FleetWorker]) -> None:
    """While a step of the start is open everything but version, metrics and docs is 503 that names the step."""
    worker = pair[0]
    worker.readiness.undone("leader", "nobody leads")
    for path in (BASE, "/admin/v2/worker/cluster", "/magnetar/v1/instances", "/initialized"):
        answer = await worker.http.get(path)
        assert answer.status_code == 503
        assert "done initializing" in answer.json()["reason"]
        assert "leader: nobody leads" in answer.json()["reason"]
    for path in ("/version", "/metrics", "/docs", "/openapi.json"):
        assert (await worker.http.get(path)).status_code == 200
