import os
import signal
import time
import uuid
from pathlib import Path

import anyio
import anyio.to_thread
import pulsar
import pytest
from magnetar.lifecycle import Event, Phase
from magnetar.policy.health import HealthPolicy
from magnetar.policy.restart import RestartPolicy
from magnetar_broker.testing import RunningBroker
from supervised import Processes, Supervised, client_of, function, processes, say, supervised, write

pytestmark = pytest.mark.anyio

ECHO = "def process(input):\n    return input + '!'\n"
both = pytest.mark.parametrize("kind", ["self", "worker"])


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def topic(folder: Path) -> str:
    return f"persistent://public/default/{folder.name}-{os.getpid()}"


async def hear(broker: RunningBroker, sink: str, last: str) -> list[str]:
    """Return what came out until a text did."""

    def run() -> list[str]:
        with client_of(broker.service_url) as client:
            consumer = client.subscribe(sink, str(uuid.uuid4()), initial_position=pulsar.InitialPosition.Earliest)
            heard: list[str] = []
            while last not in heard:
                heard.append(consumer.receive(30_000).data().decode())
            return heard

    return await anyio.to_thread.run_sync(run)


@both
async def test_a_killed_instance_is_seen_at_once_and_goes_on_where_it_was(
    pulsar_broker: RunningBroker, tmp_path: Path, kind: str
) -> None:
    """kill -9: another process runs, the reason is in view and in the events, and no message is lost."""
    details = function(output=topic(tmp_path))
    (source,) = details.source.inputSpecs
    async with processes(pulsar_broker.service_url, tmp_path, kind=kind) as world, supervised(world.runtime) as made:
        name = made.run(details, write(tmp_path, ECHO))
        first = await made.until(name, Phase.RUNNING)
        await say(pulsar_broker, source, "before")
        assert await hear(pulsar_broker, details.sink.topic, "before!") == ["before!"]
        os.kill(first.pid or 0, signal.SIGKILL)
        await say(pulsar_broker, source, "after")
        second = await made.until_restarted(name)
        assert second.pid != first.pid
        assert set(await hear(pulsar_broker, details.sink.topic, "after!")) == {"before!", "after!"}
        told = made.supervisor.events(name)
        assert [event.event for event in told] == [Event.SPAWN, Event.READY, Event.END, Event.SPAWN, Event.READY]
        assert "SIGKILL" in told[2].reason
        assert told[3].at - told[2].at < 1


async def test_an_exit_of_user_code_is_told_with_its_last_lines(pulsar_broker: RunningBroker, tmp_path: Path) -> None:
    """sys.exit in a function ends its process; status has the code and what was printed before."""
    code = write(
        tmp_path, "import sys\ndef process(input):\n    print('about to leave', flush=True)\n    sys.exit(3)\n"
    )
    details = function()
    (source,) = details.source.inputSpecs
    never = RestartPolicy(initial_delay=3600, max_delay=3600)
    async with (
        processes(pulsar_broker.service_url, tmp_path) as world,
        supervised(world.runtime, policy=never) as made,
    ):
        name = made.run(details, code)
        await made.until(name, Phase.RUNNING)
        await say(pulsar_broker, source, "x")
        view = await made.until(name, Phase.BACKING_OFF)
        while "exit code 3" not in view.reason:
            await made.supervisor.changed(made.supervisor.generation)
            view = await made.until(name, Phase.BACKING_OFF)
        assert "about to leave" in view.reason


async def test_an_import_error_is_failed_with_the_traceback_and_not_retried(
    pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """A retry would not help; an update with better code does."""
    details = function()
    async with processes(pulsar_broker.service_url, tmp_path) as world, supervised(world.runtime) as made:
        name = made.run(details, write(tmp_path, "import nowhere_at_all\ndef process(input): pass\n"))
        view = await made.until(name, Phase.FAILED)
        assert "nowhere_at_all" in view.reason
        assert "code.py" in view.reason
        assert view.restarts == 0
        assert [event.event for event in made.supervisor.events(name)] == [Event.SPAWN, Event.REFUSE]
        made.run(details, write(tmp_path, ECHO))
        await made.until(name, Phase.RUNNING)


async def test_an_instance_that_can_not_subscribe_is_ended_at_its_deadline(tmp_path: Path) -> None:
    """Without a broker it never gets ready; the reason says for how long it was waited."""
    async with (
        processes("pulsar://127.0.0.1:1", tmp_path) as world,
        supervised(world.runtime, start_timeout=1, stop_grace=0.5) as made,
    ):
        name = made.run(function(), write(tmp_path, ECHO))
        while not any("was not subscribed 1 s" in event.reason for event in made.supervisor.events(name)):
            await made.supervisor.changed(made.supervisor.generation)


@both
async def test_all_of_many_that_die_at_once_come_back(pulsar_broker: RunningBroker, tmp_path: Path, kind: str) -> None:
    """Twenty killed in one moment are twenty restarts, each in a process of its own."""
    details = function()
    async with processes(pulsar_broker.service_url, tmp_path, kind=kind) as world, supervised(world.runtime) as made:
        first = made.run(details, write(tmp_path, ECHO), instances=20)
        names = [f"{first.rpartition(':')[0]}:{number}" for number in range(20)]
        before = {name: (await made.until(name, Phase.RUNNING)).pid for name in names}
        for pid in before.values():
            os.kill(pid or 0, signal.SIGKILL)
        after = {name: (await made.until_restarted(name)).pid for name in names}
        assert not set(before.values()) & set(after.values())
        assert len(set(after.values())) == 20


async def test_a_hundred_kills_are_noticed_in_milliseconds(pulsar_broker: RunningBroker, tmp_path: Path) -> None:
    """The time from a kill to its replacement is the kernel's and the fork's, not a timer's."""
    async with processes(pulsar_broker.service_url, tmp_path) as world, supervised(world.runtime, policy=EAGER) as made:
        name = made.run(function(), write(tmp_path, ECHO))
        took = [await _kill(made, name) for _ in range(20)]
        print([round(1000 * each) for each in took])
        assert sorted(took)[10] < 0.5


EAGER = RestartPolicy(initial_delay=0, max_delay=0.001, intensity=1000)


async def _kill(made: Supervised, name: str) -> float:
    """Kill an instance; returns the seconds until another one was spawned."""
    view = await made.until(name, Phase.RUNNING)
    began = time.time()
    os.kill(view.pid or 0, signal.SIGKILL)
    restarts = view.restarts
    while (view := await made.until(name, Phase.RUNNING)).restarts == restarts:
        await made.supervisor.changed(made.supervisor.generation)
    return (view.started_at or 0) - began


async def test_instances_come_back_after_their_launcher(pulsar_broker: RunningBroker, tmp_path: Path) -> None:
    """A launcher that is killed takes its instances along; all of them are started by the next one."""
    async with processes(pulsar_broker.service_url, tmp_path) as world, supervised(world.runtime) as made:
        first = made.run(function(), write(tmp_path, ECHO), instances=3)
        names = [f"{first.rpartition(':')[0]}:{number}" for number in range(3)]
        for name in names:
            await made.until(name, Phase.RUNNING)
        assert isinstance(world, Processes)
        os.kill(world.launcher.pid, signal.SIGKILL)
        for name in names:
            await made.until_restarted(name)


async def test_a_function_that_hangs_shows_its_stack_and_is_started_again(
    pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """After a while without progress it is unhealthy and its log says where it hangs; at the limit it is replaced."""
    details = function()
    (source,) = details.source.inputSpecs
    code = write(tmp_path, "import time\ndef process(input):\n    time.sleep(1000)\n")
    health = HealthPolicy(stall_after=0.5, stall_timeout=1.0)
    async with (
        processes(pulsar_broker.service_url, tmp_path) as world,
        supervised(world.runtime, health=health, stop_grace=0.2) as made,
    ):
        name = made.run(details, code)
        await made.until(name, Phase.RUNNING)
        await say(pulsar_broker, source, "x")
        view = await made.until(name, Phase.UNHEALTHY)
        assert view.log_file is not None
        while 'code.py", line 3 in process' not in view.log_file.read_text():
            await anyio.lowlevel.checkpoint()
        await made.until_restarted(name)
        assert any("finished no message for 1 s" in event.reason for event in made.supervisor.events(name))


async def test_an_idle_instance_that_hangs_is_noticed_and_started_again(
    pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """A stopped process without any traffic answers no ping; one that is let go on is healthy, else it is replaced."""
    health = HealthPolicy(patience=5)
    async with (
        processes(pulsar_broker.service_url, tmp_path, health_check_interval=1) as world,
        supervised(world.runtime, health=health, stop_grace=0.2) as made,
    ):
        name = made.run(function(), write(tmp_path, ECHO))
        view = await made.until(name, Phase.RUNNING)
        os.kill(view.pid or 0, signal.SIGSTOP)
        assert "did not answer" in (await made.until(name, Phase.UNHEALTHY)).reason
        os.kill(view.pid or 0, signal.SIGCONT)
        assert (await made.until(name, Phase.RUNNING)).pid == view.pid
        os.kill(view.pid or 0, signal.SIGSTOP)
        again = await made.until_restarted(name)
        assert again.pid != view.pid
        assert any("answered no health check" in event.reason for event in made.supervisor.events(name))
