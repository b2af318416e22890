from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from magnetar.errors import NotReadyError, RefusedError
from magnetar.lifecycle import Event, Phase
from magnetar.policy.health import HealthPolicy
from magnetar.runtimes.base import (
    BootFailed,
    Exit,
    Progress,
    Pulse,
    Ready,
    RuntimeStartError,
)
from magnetar_instance.proto.function import STOPPED, FunctionDetails
from scripted import function, world

if TYPE_CHECKING:
    pass

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_an_instance_runs_once_it_says_it_is_ready() -> None:
    """Until it is subscribed it is starting."""
    async with world() as w:
        w.supervisor.apply(function())
        instance = await w.runtime.started.receive()
        await w.until(Phase.STARTING)
        instance.tell(Ready())
        await w.until(Phase.RUNNING)
        assert (await w.supervisor.status("a/b/c:0")).running


async def test_a_death_is_followed_by_a_new_start_and_its_reason_is_kept() -> None:
    """After a death a new process starts; status says how the old one ended and counts the restart."""
    async with world(initial_delay=3600, max_delay=3600) as w:
        w.supervisor.apply(function())
        (await w.runtime.started.receive()).end(Exit(signal=signal.SIGKILL, last_lines=("out of luck",)))
        (await w.runtime.started.receive()).end(Exit(code=3))
        assert "exit code 3" in await w.until(Phase.BACKING_OFF)
        view = w.supervisor.view("a/b/c:0")
        assert view is not None
        assert view.restarts == 2
        assert view.next_start_at is not None


async def test_a_function_that_dies_at_every_start_is_crash_looping() -> None:
    """After five deaths in a minute the phase says so."""
    async with world(initial_delay=0.0, max_delay=3600) as w:
        w.supervisor.apply(function())
        for _ in range(5):
            (await w.runtime.started.receive()).end(Exit(code=1, last_lines=("boom",)))
        reason = await w.until(Phase.CRASH_LOOPING)
        assert "boom" in reason
        assert "it is crash-looping: 5 deaths within 60 s" in reason


async def test_a_functions_own_limits_decide_how_often_it_is_started() -> None:
    """After `maxRestarts` in a row it is failed; `intensity` is its own, too."""
    limits = {"magnetar": {"restartLimits": {"maxRestarts": 2, "intensity": 2, "maxDelay": 0.001, "initialDelay": 0}}}
    async with world() as w:
        w.supervisor.apply(function(customRuntimeOptions=json.dumps(limits)))
        for _ in range(3):
            (await w.runtime.started.receive()).end(Exit(code=1))
        assert "not started again after 2 restarts in a row" in await w.until(Phase.FAILED)
        phases = [event.phase for event in w.supervisor.events("a/b/c:0")]
        assert phases[1::2] == [Phase.BACKING_OFF, Phase.CRASH_LOOPING, Phase.FAILED]


async def test_a_boot_failure_is_not_retried_until_an_update() -> None:
    """An import error leaves the instance failed with its traceback; a new package starts it again."""
    async with world() as w:
        w.supervisor.apply(function())
        instance = await w.runtime.started.receive()
        instance.tell(BootFailed("ImportError: no module named nowhere", ("line 1", "line 2")))
        instance.end(Exit(code=78))
        assert await w.until(Phase.FAILED) == "ImportError: no module named nowhere\nline 1\nline 2"
        w.supervisor.apply(function("better.py"))
        again = await w.runtime.started.receive()
        assert again.spec.package == Path("better.py")


async def test_a_package_that_can_not_be_had_is_asked_for_again() -> None:
    """The instance waits in pending with the reason, and starts when the package comes."""
    async with world() as w:
        w.fetch_errors.extend([NotReadyError("the broker is away"), OSError("disk full")])
        w.supervisor.apply(function())
        (await w.runtime.started.receive()).tell(Ready())
        await w.until(Phase.RUNNING)


async def test_a_function_that_this_worker_can_not_run_is_failed_with_the_sentence() -> None:
    """A refusal by the choice of runtime is told in status and not retried."""
    async with world() as w:
        w.refusal = RefusedError("JAVA functions need the process runtime")
        w.supervisor.apply(function())
        assert await w.until(Phase.FAILED) == "JAVA functions need the process runtime"


async def test_a_stopped_instance_is_ended_and_started_again_when_wished() -> None:
    """Stop ends the process and start begins a new one."""
    async with world() as w:
        w.supervisor.apply(function())
        first = await w.runtime.started.receive()
        w.supervisor.apply(function(running=False))
        await w.until(Phase.STOPPED)
        assert first.stops
        with pytest.raises(ConnectionError):
            await w.supervisor.status("a/b/c:0")
        w.supervisor.apply(function())
        await w.runtime.started.receive()


async def test_a_mere_new_version_leaves_a_running_instance_alone() -> None:
    """Metadata that changes nothing for the instance does not restart it."""
    async with world() as w:
        w.supervisor.apply(function())
        instance = await w.runtime.started.receive()
        instance.tell(Ready())
        await w.until(Phase.RUNNING)
        newer = function()
        newer["a/b/c:0"].metadata.version = 7
        newer["a/b/c:0"].metadata.instanceStates[1] = STOPPED
        w.supervisor.apply(newer)
        await anyio.wait_all_tasks_blocked()
        assert not instance.stops


async def test_a_removed_instance_is_ended_and_cleaned_up() -> None:
    """An instance that is wanted no more ends, and the worker is told once it has."""
    async with world() as w:
        w.supervisor.apply(function())
        instance = await w.runtime.started.receive()
        w.supervisor.apply({})
        while w.supervisor.view("a/b/c:0") is not None:
            await w.supervisor.changed(w.supervisor.generation)
        assert instance.stops
        assert w.removed == ["a/b/c:0"]


async def test_a_worker_that_ends_cleans_nothing_up() -> None:
    """Instances end with their worker, but the function lives on elsewhere."""
    async with world() as w:
        w.supervisor.apply(function())
        instance = await w.runtime.started.receive()
    assert instance.stops
    assert w.removed == []


async def test_a_restart_is_begun_when_it_returns_whatever_the_phase() -> None:
    """A failed instance is started anew by a restart."""
    async with world() as w:
        w.supervisor.apply(function())
        instance = await w.runtime.started.receive()
        instance.tell(BootFailed("no"))
        instance.end(Exit(code=78))
        await w.until(Phase.FAILED)
        await w.supervisor.restart("a/b/c:0")
        await w.runtime.started.receive()


async def test_a_runtime_that_can_not_start_counts_as_a_death() -> None:
    """An instance that could not be started is tried again."""
    async with world() as w:
        w.runtime.errors.append(RuntimeStartError("fork: no memory"))
        w.supervisor.apply(function())
        await w.runtime.started.receive()
        view = w.supervisor.view("a/b/c:0")
        assert view is not None
        assert view.restarts == 1


def restart(mode: str) -> str:
    return json.dumps({"magnetar": {"restart": mode}})


@pytest.mark.parametrize(
    ("mode", "ended", "phase"),
    [
        ("always", Exit(code=0), Phase.BACKING_OFF),
        ("on-failure", Exit(code=0), Phase.STOPPED),
        ("on-failure", Exit(code=3), Phase.BACKING_OFF),
        ("never", Exit(code=0), Phase.STOPPED),
        ("never", Exit(signal=signal.SIGKILL), Phase.FAILED),
    ],
)
async def test_a_functions_own_restart_says_what_follows_an_end(mode: str, ended: Exit, phase: Phase) -> None:
    """It is started again always, after a failure, or never; where it is not, status says why."""
    async with world(initial_delay=3600, max_delay=3600) as w:
        w.supervisor.apply(function(customRuntimeOptions=restart(mode)))
        (await w.runtime.started.receive()).end(ended)
        if phase is Phase.BACKING_OFF:
            (await w.runtime.started.receive()).end(ended)
        reason = await w.until(phase)
        assert ("not started again" in reason) is (phase is not Phase.BACKING_OFF)


async def test_a_java_instance_that_ended_has_failed_whatever_its_code() -> None:
    """Java instances end with 0 after fatal errors too."""
    async with world() as w:
        wanted = function(customRuntimeOptions=restart("never"))
        wanted["a/b/c:0"].metadata.functionDetails.runtime = FunctionDetails.JAVA
        w.supervisor.apply(wanted)
        (await w.runtime.started.receive()).end(Exit(code=0))
        await w.until(Phase.FAILED)


async def test_options_that_make_no_sense_are_refused_by_name() -> None:
    """Metadata that another worker accepted leave the instance failed with the sentence."""
    async with world() as w:
        w.supervisor.apply(function(customRuntimeOptions=restart("sometimes")))
        assert "restart" in await w.until(Phase.FAILED)


async def test_events_tell_the_story_of_an_instance() -> None:
    """Each change has a number, its time, the phase it led to and the reason; the last fifty are kept."""
    async with world() as w:
        w.supervisor.apply(function())
        instance = await w.runtime.started.receive()
        instance.tell(Ready())
        await w.until(Phase.RUNNING)
        instance.end(Exit(code=3))
        instance = await w.runtime.started.receive()
        instance.tell(Ready())
        await w.until(Phase.RUNNING)
        told = w.supervisor.events("a/b/c:0")
        assert [event.event for event in told] == [Event.SPAWN, Event.READY, Event.END, Event.SPAWN, Event.READY]
        assert [event.number for event in told] == [1, 2, 3, 4, 5]
        assert "exit code 3" in told[2].reason
        assert told[2].phase is Phase.BACKING_OFF
        assert w.supervisor.events("a/b/c:0", since=4) == told[4:]
        assert w.supervisor.events("a/b/unknown:0") == []


async def test_the_stop_is_told_before_it_is_done() -> None:
    """Whoever looks while an instance takes its time to end sees that it was asked to."""
    async with world() as w:
        w.supervisor.apply(function())
        instance = await w.runtime.started.receive()
        seen: list[Phase] = []
        instance.on_stop = lambda: seen.extend(view.phase for view in w.supervisor.views())
        w.supervisor.apply(function(running=False))
        await w.until(Phase.STOPPED)
        assert seen[0] is Phase.STOPPING


async def test_an_instance_that_dies_as_it_is_asked_to_stop_is_stopped() -> None:
    """The wish and the death may come in the same moment."""
    async with world() as w:
        w.supervisor.apply(function())
        instance = await w.runtime.started.receive()
        instance.tell(Ready())
        await w.until(Phase.RUNNING)
        instance.end(Exit(signal=signal.SIGKILL))
        w.supervisor.apply(function(running=False))
        await w.until(Phase.STOPPED)
        w.supervisor.apply(function())
        await w.runtime.started.receive()


QUICK = HealthPolicy(patience=0.02, stall_after=0.02, stall_timeout=0.04)
PATIENT = HealthPolicy(patience=3600, stall_after=0.01, stall_timeout=None)


async def test_an_instance_without_progress_is_unhealthy_until_it_goes_on() -> None:
    """Its stacks are in its log by then, and it is left alone: a message may need its time."""
    async with world(PATIENT) as w:
        w.supervisor.apply(function())
        instance = await w.runtime.started.receive()
        instance.tell(Ready())
        instance.tell(Progress(received=3, processed=1))
        assert "none of 2 message(s)" in await w.until(Phase.UNHEALTHY)
        assert instance.dumps == 1
        instance.tell(Progress(received=3, processed=3))
        assert await w.until(Phase.RUNNING) == ""
        assert not instance.stops


async def test_an_idle_instance_is_healthy() -> None:
    """Nothing that waits is no stall, however long nothing happens."""
    async with world(QUICK) as w:
        w.supervisor.apply(function())
        instance = await w.runtime.started.receive()
        instance.tell(Ready())
        instance.tell(Progress(received=3, processed=3))
        await w.until(Phase.RUNNING)
        with anyio.move_on_after(0.1):
            await w.until(Phase.UNHEALTHY)
        assert w.supervisor.views()[0].phase is Phase.RUNNING


async def test_an_instance_that_makes_no_progress_for_too_long_is_restarted() -> None:
    """Where a limit is set, the reason of the restart names it."""
    async with world(QUICK, initial_delay=0) as w:
        w.supervisor.apply(function())
        instance = await w.runtime.started.receive()
        instance.tell(Ready())
        instance.tell(Progress(received=1, processed=0))
        await w.runtime.started.receive()
        assert instance.stops
        assert any("finished no message for 0.04 s" in event.reason for event in w.supervisor.events("a/b/c:0"))


async def test_an_unanswered_health_check_is_forgiven_when_the_next_is_answered() -> None:
    """Until then the instance is unhealthy, for the reason that was told."""
    async with world(PATIENT) as w:
        w.supervisor.apply(function())
        instance = await w.runtime.started.receive()
        instance.tell(Ready())
        instance.tell(Pulse("DEADLINE_EXCEEDED"))
        assert await w.until(Phase.UNHEALTHY) == "DEADLINE_EXCEEDED"
        instance.tell(Pulse())
        await w.until(Phase.RUNNING)


async def test_an_instance_that_answers_no_health_check_is_restarted() -> None:
    """Its stacks are asked for first."""
    async with world(QUICK, initial_delay=0) as w:
        w.supervisor.apply(function())
        instance = await w.runtime.started.receive()
        instance.tell(Ready())
        instance.tell(Pulse("DEADLINE_EXCEEDED"))
        await w.runtime.started.receive()
        assert instance.dumps == 1
        assert any("answered no health check for 0.02 s" in event.reason for event in w.supervisor.events("a/b/c:0"))


async def test_a_long_end_says_whose_it_is(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """While the supervisor waits for its instances it names those that have not ended."""
    monkeypatch.setattr("magnetar.supervision.supervisor._LONG", 0.001)
    told = anyio.Event()

    async def stop(_: float) -> None:
        with anyio.fail_after(60):
            while "Instances have not ended yet. left=1 instances=a/b/c:0" not in caplog.text:  # noqa: ASYNC110
                await anyio.sleep(0.001)
        told.set()
        instance.end(Exit(code=0))

    with caplog.at_level("INFO"):
        async with world() as w:
            w.supervisor.apply(function())
            instance = await w.runtime.started.receive()
            monkeypatch.setattr(instance, "stop", stop)
            instance.tell(Ready())
            await w.until(Phase.RUNNING)
    assert told.is_set()
