from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from magnetar.errors import NotReadyError, RefusedError
from magnetar.lifecycle import Event, Phase
from magnetar.runtimes.base import BootFailed, Exit, InstanceSpec, Prepared, Ready, Survivor
from magnetar.supervision.desired import Desired
from scripted import ScriptedInstance, World, function, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.anyio
NAME = "a/b/c:0"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=[True, False], ids=["prepares", "stops first"])
def can_wait(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
async def w() -> AsyncIterator[World]:
    async with world() as made:
        made.runtime.can_wait = True
        yield made


async def ready(w: World, wanted: dict[str, Desired]) -> ScriptedInstance:
    """Have an instance started and running."""
    w.supervisor.apply(wanted)
    instance = await w.runtime.started.receive()
    instance.tell(Ready())
    await w.until(Phase.RUNNING)
    return instance


async def until_said(w: World, text: str, name: str = NAME) -> str:
    """Wait until a running instance says something, and return all of it."""
    while True:
        seen = w.supervisor.generation
        view = w.supervisor.view(name)
        if view is not None and text in view.reason and view.phase is Phase.RUNNING:
            return view.reason
        await w.supervisor.changed(seen)


async def rejected(w: World, package: str) -> None:
    """Update to a version that can't be imported, and wait until that is told."""
    w.supervisor.apply(function(package))
    (await w.runtime.started.receive()).tell(BootFailed("no"))
    await until_said(w, "could not be made")


def two(package: str) -> dict[str, Desired]:
    """Two instances of one function."""
    metadata = function(package)[NAME].metadata
    return {f"a/b/c:{number}": Desired(metadata, number) for number in (0, 1)}


async def test_the_old_one_works_until_the_new_one_is_prepared(w: World) -> None:
    """A successor loads and connects beside it, and subscribes once the old one has ended: no two hold the subscription."""
    old = await ready(w, function("old.py"))
    w.supervisor.apply(function("new.py"))
    new = await w.runtime.started.receive()
    assert new.spec.package == Path("new.py")
    await anyio.wait_all_tasks_blocked()
    assert not old.stops
    old.on_stop = lambda: seen.append(new.subscribed)
    seen: list[bool] = []
    new.tell(Prepared())
    await w.until(Phase.STARTING)
    assert old.ended
    assert (seen[0], new.subscribed) == (False, True)
    new.tell(Ready())
    assert await w.until(Phase.RUNNING) == ""
    view = w.supervisor.view(NAME)
    assert view is not None
    assert view.restarts == 0
    events = [event.event for event in w.supervisor.events(NAME)]
    assert events == [Event.SPAWN, Event.READY, Event.STOP, Event.END, Event.SPAWN, Event.READY]


async def test_what_can_not_wait_is_stopped_first(w: World) -> None:
    """Java and Go: the old one ends, then the new one starts."""
    w.runtime.can_wait = False
    old = await ready(w, function("old.py"))
    w.supervisor.apply(function("new.py"))
    new = await w.runtime.started.receive()
    assert old.ended
    assert new.spec.package == Path("new.py")


async def test_a_version_that_can_not_be_prepared_leaves_the_old_one_alone(w: World) -> None:
    """An import error of the new version is told in status, and the old one is never touched."""
    old = await ready(w, function("old.py"))
    w.supervisor.apply(function("new.py"))
    new = await w.runtime.started.receive()
    new.tell(BootFailed("ImportError: nowhere"))
    assert "the version before runs on: ImportError: nowhere" in await until_said(w, "could not be made")
    assert new.ended
    assert not old.stops


async def test_a_version_that_never_gets_ready_gives_way_to_the_old_one(w: World, can_wait: bool) -> None:
    """One that fails again and again after the old one has ended is followed by that, with the reason in status."""
    w.runtime.can_wait = can_wait
    await ready(w, function("old.py"))
    w.supervisor.apply(function("new.py"))
    for attempt in range(3):
        new = await w.runtime.started.receive()
        assert new.spec.package == Path("new.py")
        if can_wait and not attempt:
            new.tell(Prepared())
        await w.until(Phase.STARTING)
        new.end(Exit(code=1, last_lines=("no such topic",)))
    again = await w.runtime.started.receive()
    assert again.spec.package == Path("old.py")
    again.tell(Ready())
    assert "no such topic" in await until_said(w, "could not be made")


async def test_one_death_before_it_is_ready_is_no_failed_update(w: World, can_wait: bool) -> None:
    """A kill, or a broker that was away for a moment, says nothing of the version: it is started again."""
    w.runtime.can_wait = can_wait
    await ready(w, function("old.py"))
    w.supervisor.apply(function("new.py"))
    new = await w.runtime.started.receive()
    if can_wait:
        new.tell(Prepared())
    await w.until(Phase.STARTING)
    new.end(Exit(signal=9))
    again = await w.runtime.started.receive()
    assert again.spec.package == Path("new.py")
    again.tell(Ready())
    assert await w.until(Phase.RUNNING) == ""


async def test_an_update_whose_restart_is_never_is_tried_once(w: World) -> None:
    """Its restart policy holds for an update, too; the old version comes back."""
    w.runtime.can_wait = False
    await ready(w, function("old.py"))
    w.supervisor.apply(function("new.py", customRuntimeOptions='{"magnetar": {"restart": "never"}}'))
    new = await w.runtime.started.receive()
    new.end(Exit(code=1))
    assert (await w.runtime.started.receive()).spec.package == Path("old.py")


async def test_the_old_version_is_started_again_after_its_death(w: World) -> None:
    """A rejected version is not tried when the one before dies, but when a restart asks for it."""
    old = await ready(w, function("old.py"))
    await rejected(w, "new.py")
    old.end(Exit(code=1))
    again = await w.runtime.started.receive()
    assert again.spec.package == Path("old.py")
    again.tell(Ready())
    await w.until(Phase.RUNNING)
    await w.supervisor.restart(NAME)
    assert (await w.runtime.started.receive()).spec.package == Path("new.py")


async def test_the_next_update_is_tried_after_one_that_failed(w: World) -> None:
    """A better version replaces the old one, and the reason is gone."""
    old = await ready(w, function("old.py"))
    await rejected(w, "bad.py")
    w.supervisor.apply(function("good.py"))
    good = await w.runtime.started.receive()
    good.tell(Prepared())
    good.tell(Ready())
    await w.until(Phase.STARTING)
    assert old.ended
    assert await w.until(Phase.RUNNING) == ""


async def test_an_update_that_is_taken_back_touches_nothing(w: World) -> None:
    """Going back to what runs ends the successor, before and after a failure."""
    old = await ready(w, function("old.py"))
    w.supervisor.apply(function("new.py"))
    new = await w.runtime.started.receive()
    w.supervisor.apply(function("old.py"))
    await new.wait()
    await rejected(w, "bad.py")
    w.supervisor.apply(function("old.py"))
    await anyio.wait_all_tasks_blocked()
    assert await w.until(Phase.RUNNING) == ""
    assert not old.stops


async def test_what_may_pass_is_tried_again_while_the_old_one_works(w: World) -> None:
    """A package that can't be had now is no failed update."""
    old = await ready(w, function("old.py"))
    w.fetch_errors.append(NotReadyError("the broker is away"))
    w.supervisor.apply(function("new.py"))
    new = await w.runtime.started.receive()
    assert not old.stops
    new.tell(Prepared())
    await w.until(Phase.STARTING)


async def test_a_stop_during_an_update_ends_both(w: World) -> None:
    """Who stops an instance while its successor is prepared is left with none."""
    old = await ready(w, function("old.py"))
    w.supervisor.apply(function("new.py"))
    new = await w.runtime.started.receive()
    w.supervisor.apply(function("new.py", running=False))
    await w.until(Phase.STOPPED)
    assert old.ended
    await new.wait()
    assert not new.subscribed


async def test_instances_are_updated_one_after_the_other(w: World, can_wait: bool) -> None:
    """The second one is not touched before the first one's successor is ready."""
    w.runtime.can_wait = can_wait
    w.supervisor.apply(two("old.py"))
    old = [await w.runtime.started.receive() for _ in range(2)]
    for each in old:
        each.tell(Ready())
    for name in two("old.py"):
        await w.until(Phase.RUNNING, name)
    w.supervisor.apply(two("new.py"))
    for updated in range(2):
        new = await w.runtime.started.receive()
        await anyio.wait_all_tasks_blocked()
        assert sum(each.ended for each in old) == updated + (not can_wait)
        with pytest.raises(anyio.WouldBlock):
            w.runtime.started.receive_nowait()
        if can_wait:
            new.tell(Prepared())
        new.tell(Ready())
        await old[new.spec.instance_id].wait()
    assert all(each.ended for each in old)


async def test_after_a_failure_no_other_instance_is_touched(w: World) -> None:
    """The roll-out halts, and the other instances say why."""
    w.supervisor.apply(two("old.py"))
    old = [await w.runtime.started.receive() for _ in range(2)]
    for each in old:
        each.tell(Ready())
    for name in two("old.py"):
        await w.until(Phase.RUNNING, name)
    w.supervisor.apply(two("new.py"))
    (await w.runtime.started.receive()).tell(BootFailed("SyntaxError"))
    for name in two("old.py"):
        assert "SyntaxError" in await until_said(w, "could not be made", name)
    assert not any(each.stops for each in old)


async def test_another_number_of_instances_touches_no_other(w: World) -> None:
    """A change of the parallelism starts what is new and ends what is too much, and nothing else."""
    first = await ready(w, function("code.py", parallelism=1))
    metadata = function("code.py", parallelism=2)[NAME].metadata
    w.supervisor.apply({f"a/b/c:{number}": Desired(metadata, number) for number in (0, 1)})
    second = await w.runtime.started.receive()
    assert second.spec.instance_id == 1
    w.supervisor.apply(function("code.py", parallelism=1))
    await second.wait()
    assert not first.stops


async def test_what_survives_is_let_go_when_the_worker_ends() -> None:
    """An instance that goes on without its worker is not stopped, its successor in an update is."""
    async with world() as w:
        w.runtime.survives = w.runtime.can_wait = True
        old = await ready(w, function("old.py"))
        w.supervisor.apply(function("new.py"))
        new = await w.runtime.started.receive()
    assert (old.stops, old.let_go_of) == (0, True)
    assert new.ended
    assert w.removed == []


def survivor(w: World, package: str) -> ScriptedInstance:
    """Have an instance that another worker left."""
    desired = function(package)[NAME]
    spec = InstanceSpec(desired.metadata.functionDetails, 0, Path(package), "id", "version", desired.fingerprint)
    instance = ScriptedInstance(spec, survives=True)
    w.runtime.left[NAME] = Survivor(instance, desired.fingerprint, "process")
    return instance


async def test_what_another_worker_left_is_adopted(w: World) -> None:
    """Nothing is started; the instance runs once it has said so, with no restart."""
    left = survivor(w, "code.py")
    w.supervisor.apply(function("code.py"))
    left.tell(Ready())
    await w.until(Phase.RUNNING)
    assert [event.event for event in w.supervisor.events(NAME)] == [Event.ADOPT, Event.READY]
    view = w.supervisor.view(NAME)
    assert view is not None
    assert view.restarts == 0
    with pytest.raises(anyio.WouldBlock):
        w.runtime.started.receive_nowait()


async def test_what_ended_while_no_worker_was_there_is_a_death_like_any_other(w: World) -> None:
    """Its reason is kept, and it is started again."""
    left = survivor(w, "code.py")
    left.end(Exit(code=3))
    w.supervisor.apply(function("code.py"))
    await w.runtime.started.receive()
    events = w.supervisor.events(NAME)
    assert [event.event for event in events] == [Event.ADOPT, Event.END, Event.SPAWN]
    assert "exit code 3" in events[1].reason


async def test_what_was_updated_while_no_worker_was_there_is_replaced(w: World) -> None:
    """The adopted instance works until the successor is prepared."""
    left = survivor(w, "old.py")
    left.tell(Ready())
    w.supervisor.apply(function("new.py"))
    new = await w.runtime.started.receive()
    assert not left.ended
    new.tell(Prepared())
    await left.wait()
    new.tell(Ready())
    await w.until(Phase.RUNNING)


async def test_what_was_stopped_while_no_worker_was_there_is_ended(w: World) -> None:
    """A user's wish of the meantime counts."""
    left = survivor(w, "code.py")
    w.supervisor.apply(function("code.py", running=False))
    await w.until(Phase.STOPPED)
    assert left.stops


async def test_a_refused_runtime_does_not_lose_what_another_worker_left(w: World) -> None:
    """What runs is adopted whatever this worker's settings would refuse now."""
    left = survivor(w, "code.py")
    w.refusal = RefusedError("no")
    left.tell(Ready())
    w.supervisor.apply(function("code.py"))
    await w.until(Phase.RUNNING)


async def test_an_update_of_an_update_keeps_its_turn_until_it_is_ready(w: World) -> None:
    """A version that gets ready while the next one is prepared does not let another instance go ahead."""
    w.supervisor.apply(two("old.py"))
    for _ in range(2):
        (await w.runtime.started.receive()).tell(Ready())
    for name in two("old.py"):
        await w.until(Phase.RUNNING, name)
    w.supervisor.apply(two("new.py"))
    new = await w.runtime.started.receive()
    name = new.spec.fqiid
    new.tell(Prepared())
    await w.until(Phase.STARTING, name)
    w.supervisor.apply(two("newer.py"))
    newer = await w.runtime.started.receive()
    assert (newer.spec.fqiid, newer.spec.package) == (name, Path("newer.py"))
    new.tell(Ready())
    await w.until(Phase.RUNNING, name)
    await anyio.wait_all_tasks_blocked()
    with pytest.raises(anyio.WouldBlock):
        w.runtime.started.receive_nowait()
    newer.tell(Prepared())
    newer.tell(Ready())
    other = await w.runtime.started.receive()
    assert (other.spec.fqiid != name, other.spec.package) == (True, Path("newer.py"))


async def test_a_version_that_failed_is_tried_again_after_a_better_one(w: World) -> None:
    """Who asks for it once more, after another version ran, is not answered from memory."""
    await ready(w, function("old.py"))
    await rejected(w, "bad.py")
    w.supervisor.apply(function("good.py"))
    good = await w.runtime.started.receive()
    good.tell(Prepared())
    good.tell(Ready())
    await w.until(Phase.STARTING)
    await w.until(Phase.RUNNING)
    w.supervisor.apply(function("bad.py"))
    assert (await w.runtime.started.receive()).spec.package == Path("bad.py")
