from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from magnetar.changes import Changes
from magnetar.errors import NotReadyError, RefusedError, RequestError
from magnetar.lifecycle import Phase
from magnetar.policy.restart import RestartPolicy
from magnetar.runtimes.base import InstanceReport
from magnetar.supervision.context import SupervisionContext
from magnetar.supervision.desired import Desired
from magnetar.supervision.supervisor import Supervisor
from magnetar_instance.proto.control import FunctionStatus, MetricsData
from magnetar_instance.proto.function import RUNNING, STOPPED, FunctionDetails, FunctionMetaData

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from magnetar.runtimes.base import ExternalEvent, FunctionSpec, LogLines
    from magnetar_instance.proto.function import FunctionAuthenticationSpec

pytestmark = pytest.mark.anyio


class ScriptedCluster:
    """An external runtime without a cluster: it notes what it is asked, and a test says what goes wrong."""

    name = "kubernetes"

    def __init__(self) -> None:
        self._calls, self.calls = anyio.create_memory_object_stream[str](100)
        self.errors: deque[RequestError] = deque()
        self.disturbances = Changes()
        self.changes = Changes()
        self.phase = Phase.RUNNING

    async def next_call(self) -> str:
        return await self.calls.receive()

    def _note(self, call: str) -> None:
        self._calls.send_nowait(call)
        if self.errors:
            raise self.errors.popleft()

    def admit(self, spec: FunctionSpec) -> None:
        return

    async def keep_credentials(self, spec: FunctionSpec, token: str | None) -> FunctionAuthenticationSpec | None:
        return None

    async def submit(self, spec: FunctionSpec, *, restart: bool = False) -> None:
        self._note(f"{'restart' if restart else 'submit'} {spec.details.parallelism}")

    async def stop(self, spec: FunctionSpec) -> None:
        self._note("stop")

    async def remove(self, spec: FunctionSpec) -> None:
        self._note("remove")

    async def restart_instance(self, spec: FunctionSpec, instance_id: int) -> None:
        self._note(f"restart instance {instance_id}")

    async def disturbed(self, spec: FunctionSpec) -> None:
        await self.disturbances.after(self.disturbances.generation)

    def reports(self, spec: FunctionSpec) -> list[InstanceReport]:
        return [InstanceReport(each, self.phase, restarts=each) for each in range(spec.details.parallelism)]

    async def status(self, spec: FunctionSpec, instance_id: int) -> FunctionStatus:
        return FunctionStatus(running=True, instanceId=str(instance_id))

    async def metrics(self, spec: FunctionSpec, instance_id: int) -> MetricsData:
        return MetricsData()

    def manifests(self, spec: FunctionSpec) -> list[dict[str, object]]:
        return []

    async def events(self, spec: FunctionSpec) -> list[ExternalEvent]:
        return []

    @asynccontextmanager
    async def log(self, spec: FunctionSpec, instance_id: int, tail: int, *, follow: bool) -> AsyncIterator[LogLines]:
        raise ConnectionError("no log")
        yield

    async def sweep(self, known: object) -> None:
        return

    @property
    def generation(self) -> int:
        return self.changes.generation

    async def changed(self, seen: int) -> int:
        return await self.changes.after(seen)


def wanted(*, parallelism: int = 2, stopped: tuple[int, ...] = (), states: bool = False) -> dict[str, Desired]:
    metadata = FunctionMetaData(
        functionDetails=FunctionDetails(tenant="t", namespace="n", name="f", parallelism=parallelism)
    )
    if states:
        metadata.instanceStates.update({each: STOPPED if each in stopped else RUNNING for each in range(parallelism)})
    return {"t/n/f:-1": Desired(metadata, -1)}


async def no_package(_: object) -> Path:
    raise NotReadyError("a function as a whole fetches nothing")


class Harness:
    def __init__(self) -> None:
        self.cluster = ScriptedCluster()
        self.assigned: set[str] = set()
        self.removed: list[str] = []

    @asynccontextmanager
    async def supervisor(self) -> AsyncIterator[Supervisor]:
        async def removed(desired: Desired) -> None:
            self.removed.append(desired.fqiid)

        context = SupervisionContext(
            worker_id="w",
            runtimes={},
            fetch=no_package,
            choose=lambda _: "kubernetes",
            removed=removed,
            policy=RestartPolicy(initial_delay=0.01, max_delay=0.02),
            stop_grace=1,
            start_timeout=1,
            starts=anyio.CapacityLimiter(1),
            external=self.cluster,
            assigned=self.assigned.__contains__,
        )
        with anyio.fail_after(20):
            async with Supervisor(context) as supervisor:
                yield supervisor


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def settled(supervisor: Supervisor, phase: Phase) -> None:
    while not supervisor.views() or any(view.phase is not phase for view in supervisor.views()):
        await supervisor.changed(supervisor.generation)


async def gone(supervisor: Supervisor) -> None:
    while supervisor.views():
        await supervisor.changed(supervisor.generation)


async def test_a_function_is_submitted_once_and_seen_as_its_instances() -> None:
    """One assignment for all, as many views as instances, and each can be asked by its own number."""
    harness = Harness()
    async with harness.supervisor() as supervisor:
        supervisor.apply(wanted())
        assert await harness.cluster.next_call() == "submit 2"
        await settled(supervisor, Phase.RUNNING)
        assert [view.fqiid for view in supervisor.views()] == ["t/n/f:0", "t/n/f:1"]
        assert supervisor.view("t/n/f:1").restarts == 1
        assert (await supervisor.status("t/n/f:1")).instanceId == "1"
        with pytest.raises(RefusedError, match=r"t/n/f:1 runs in a pod.*have the function set it"):
            supervisor.set_log_level("t/n/f:1", "DEBUG", None)


async def test_leaving_the_worker_leaves_the_function() -> None:
    """Nothing is stopped or removed, and nothing is cleaned up."""
    harness = Harness()
    async with harness.supervisor() as supervisor:
        supervisor.apply(wanted())
        assert await harness.cluster.next_call() == "submit 2"
    assert harness.cluster.calls.statistics().current_buffer_used == 0
    assert harness.removed == []


async def test_a_change_is_submitted_and_a_mere_new_version_is_not() -> None:
    """The update goes to the cluster as one more submission, without a stop before it."""
    harness = Harness()
    async with harness.supervisor() as supervisor:
        supervisor.apply(wanted())
        assert await harness.cluster.next_call() == "submit 2"
        same = wanted()
        same["t/n/f:-1"].metadata.version = 7
        supervisor.apply(same)
        supervisor.apply(wanted(parallelism=3))
        assert await harness.cluster.next_call() == "submit 3"


async def test_it_is_stopped_only_when_all_of_its_instances_are() -> None:
    """One stopped instance among running ones leaves the function running, as with Pulsar's workers."""
    harness = Harness()
    async with harness.supervisor() as supervisor:
        supervisor.apply(wanted(states=True, stopped=(0,)))
        assert await harness.cluster.next_call() == "submit 2"
        supervisor.apply(wanted(states=True, stopped=(0, 1)))
        assert await harness.cluster.next_call() == "stop"
        await settled(supervisor, Phase.STOPPED)
        supervisor.apply(wanted(states=True))
        assert await harness.cluster.next_call() == "submit 2"


async def test_what_went_to_another_worker_is_not_removed() -> None:
    """A function that is deleted is removed from the cluster; one that is still assigned somewhere is left."""
    harness = Harness()
    async with harness.supervisor() as supervisor:
        harness.assigned.add("t/n/f:-1")
        supervisor.apply(wanted())
        assert await harness.cluster.next_call() == "submit 2"
        supervisor.apply({})
        await gone(supervisor)
        harness.assigned.clear()
        supervisor.apply(wanted())
        assert await harness.cluster.next_call() == "submit 2"
        supervisor.apply({})
        assert await harness.cluster.next_call() == "remove"
        await gone(supervisor)
    assert harness.removed == ["t/n/f:-1"]


async def test_a_cluster_that_does_not_answer_is_asked_again() -> None:
    """Submitting and removing are both tried until they are done; the reason is told meanwhile."""
    harness = Harness()
    harness.cluster.phase = Phase.PENDING
    harness.cluster.errors.extend([NotReadyError("no answer"), NotReadyError("no answer")])
    async with harness.supervisor() as supervisor:
        supervisor.apply(wanted())
        for _ in range(3):
            assert await harness.cluster.next_call() == "submit 2"
        await settled(supervisor, Phase.PENDING)
        harness.cluster.errors.append(NotReadyError("no answer"))
        supervisor.apply({})
        assert [await harness.cluster.next_call() for _ in range(2)] == ["remove", "remove"]


async def test_a_refused_function_fails_until_it_is_changed() -> None:
    """The API server's words are the reason; instances that run from before go on and say so."""
    harness = Harness()
    harness.cluster.phase = Phase.PENDING
    harness.cluster.errors.append(RefusedError("spec.x: no"))
    async with harness.supervisor() as supervisor:
        supervisor.apply(wanted())
        assert await harness.cluster.next_call() == "submit 2"
        await settled(supervisor, Phase.FAILED)
        assert {view.reason for view in supervisor.views()} == {"spec.x: no"}
        harness.cluster.phase = Phase.RUNNING
        assert {view.phase for view in supervisor.views()} == {Phase.RUNNING}
        supervisor.apply(wanted(parallelism=1))
        assert await harness.cluster.next_call() == "submit 1"
        await settled(supervisor, Phase.RUNNING)
        assert [view.reason for view in supervisor.views()] == [""]


async def test_restarts_of_all_and_of_one() -> None:
    """All are replaced through the cluster's own roll-out, one by itself."""
    harness = Harness()
    async with harness.supervisor() as supervisor:
        supervisor.apply(wanted())
        assert await harness.cluster.next_call() == "submit 2"
        await supervisor.restart("t/n/f:-1")
        assert await harness.cluster.next_call() == "restart 2"
        await supervisor.restart("t/n/f:1")
        assert await harness.cluster.next_call() == "restart instance 1"
        harness.cluster.errors.append(NotReadyError("no answer"))
        with pytest.raises(ConnectionError, match="no answer"):
            await supervisor.restart("t/n/f:0")


async def test_what_is_missing_is_submitted_again() -> None:
    """Someone deleted the StatefulSet: it comes back without a wish of anyone."""
    harness = Harness()
    async with harness.supervisor() as supervisor:
        supervisor.apply(wanted())
        assert await harness.cluster.next_call() == "submit 2"
        await anyio.wait_all_tasks_blocked()
        harness.cluster.disturbances.announce()
        assert await harness.cluster.next_call() == "submit 2"
