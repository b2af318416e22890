import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from instance_process import LAUNCHER, collect, produce
from magnetar.errors import RefusedError
from magnetar.processes.watch import until_ended
from magnetar.runtimes.base import BootFailed, Pulse, Ready, RuntimeStartError
from magnetar.runtimes.process.runtime import ProcessRuntime
from magnetar.runtimes.process.settings import LimitSettings
from magnetar_broker.testing import RunningBroker
from magnetar_instance.proto.function import FunctionDetails
from supervised import Held, client_of, function, processes, spec_of, write

pytestmark = pytest.mark.anyio

ECHO = "def process(input):\n    return input + '!'\n"
STUCK = "import time\ndef process(input):\n    print('got', input, flush=True)\n    time.sleep(1000)\n"
both = pytest.mark.parametrize("kind", ["self", "worker"])


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
async def _nothing_is_left(pulsar_broker: RunningBroker) -> AsyncIterator[None]:
    before = Held.now()
    yield
    after = Held.now()
    assert after.children == before.children
    assert after.descriptors <= before.descriptors + 2  # gRPC opens a pair of its own with the first channel


async def exchange(broker: RunningBroker, spec: FunctionDetails, *texts: str) -> list[str]:
    """Send texts to a function and return as many of its outputs."""

    def run() -> list[str]:
        with client_of(broker.service_url) as client:
            produce(client, next(iter(spec.source.inputSpecs)), [text.encode() for text in texts])
            if not spec.sink.topic:
                return []
            return [message.data().decode() for message in collect(client, spec.sink.topic, len(texts))]

    return await anyio.to_thread.run_sync(run)


@both
async def test_a_function_runs_is_asked_and_leaves_nothing(
    pulsar_broker: RunningBroker, tmp_path: Path, kind: str
) -> None:
    """From its start to its stop: messages, status, metrics, a record, a copy of the package, and nothing afterwards."""
    details = function(output="persistent://public/default/" + tmp_path.name + kind)
    async with processes(pulsar_broker.service_url, tmp_path, kind=kind) as world:
        running = await world.ready(spec_of(details, write(tmp_path, ECHO)))
        instance = running.instance
        assert await exchange(pulsar_broker, details, "a", "b") == ["a!", "b!"]
        status = await instance.status()
        assert (status.running, status.numSuccessfullyProcessed) == (True, 2)
        assert (await instance.metrics()).processedSuccessfullyTotal == 2
        assert "pulsar_function_processed_successfully_total" in await instance.metrics_text()
        kept = next(world.settings.records.iterdir())
        record = json.loads(kept.read_text())
        assert record["pid"] == instance.pid
        half = kept.with_name(f"{kept.name}.{instance.pid}")
        half.write_text("what a process leaves that is killed while it writes its record")
        assert record["grpcPort"] == instance.grpc_port
        copies = [path for path in world.settings.download_directory.rglob("*.py") if path.is_file()]
        folder = world.settings.download_directory / details.tenant / details.namespace / details.name
        assert copies == [folder / "0" / "code.py"]
        await instance.stop(10)
        assert (await instance.wait()).code == 0
        assert not list(world.settings.records.iterdir())
        assert not folder.exists()
        assert instance.log_file == tmp_path / "logs/functions" / details.tenant / details.namespace / details.name / (
            f"{details.name}-0.log"
        )
        assert "ready" in instance.log_file.read_text()


async def test_flags_of_the_interpreter_need_an_interpreter_of_their_own(
    pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """Such a function is run by exec, and linked all the same."""
    details = function()
    details.runtimeFlags = "-X dev"
    code = write(tmp_path, "import sys\nprint('dev', sys.flags.dev_mode)\ndef process(input):\n    pass\n")
    async with processes(pulsar_broker.service_url, tmp_path) as world:
        running = await world.ready(spec_of(details, code))
        assert "dev True" in running.instance.log_file.read_text()
        await running.instance.stop(10)


async def test_extra_dependencies_and_the_inherited_path_are_both_there(
    pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """The function's own code comes first, then the extra dependencies, then what the worker inherited."""
    for folder in ("extra", "inherited"):
        for module in ("one", "two", "three"):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{module}.py").write_text(f"WHERE = {folder!r}\n")
    (tmp_path / "extra/two.py").unlink()
    code = write(tmp_path, "import one, two, three\nprint(one.WHERE, two.WHERE, three.WHERE)\ndef process(i): pass\n")
    code.with_name("three.py").write_text("WHERE = 'extra by mistake'\n")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "inherited")}
    settings = {"extra_dependencies": tmp_path / "extra", "environment": environment}
    async with processes(pulsar_broker.service_url, tmp_path, **settings) as world:
        running = await world.ready(spec_of(function(), code))
        assert "extra inherited extra" in running.instance.log_file.read_text()
        await running.instance.stop(10)


async def test_another_launcher_is_asked_and_its_watchdog_is_kept_quiet(
    pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """It is ready at its first good status, and lives past three intervals of its watchdog."""
    foreign = tmp_path / "python_instance_main.py"
    foreign.write_text(LAUNCHER.read_text())
    settings = {"python_instance": foreign, "health_check_interval": 1}
    async with processes(pulsar_broker.service_url, tmp_path, **settings) as world:
        running = await world.ready(spec_of(function(), write(tmp_path, ECHO)))
        await running.until(lambda told: told.count(Pulse()) == 5)
        await running.instance.stop(10)
        assert (await running.instance.wait()).code == 0


async def test_what_ignores_a_polite_request_is_killed_after_the_grace(
    pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """A function that never comes back keeps its process from ending; the reason says so."""
    details = function()
    async with processes(pulsar_broker.service_url, tmp_path) as world:
        running = await world.ready(spec_of(details, write(tmp_path, STUCK)))
        await exchange(pulsar_broker, details, "x")
        while "got x" not in running.instance.log_file.read_text():
            await running.instance.status()
        await running.instance.stop(0.2)
        ended = await running.instance.wait()
        assert ended.signal == signal.SIGKILL
        assert "did not end within 0.2 s" in ended.describe()


async def test_a_boot_failure_is_told_with_the_traceback(pulsar_broker: RunningBroker, tmp_path: Path) -> None:
    """An import error is told before the process ends with its code of its own."""
    async with processes(pulsar_broker.service_url, tmp_path) as world:
        running = await world.start(spec_of(function(), write(tmp_path, "import nowhere_to_be_found\n")))
        ended = await running.instance.wait()
        assert ended.code == 78
        await running.until(lambda told: any(isinstance(notice, BootFailed) for notice in told))
        failure = running.told[-1]
        assert isinstance(failure, BootFailed)
        assert "nowhere_to_be_found" in failure.reason
        assert any("import nowhere_to_be_found" in line for line in failure.traceback)


@both
async def test_a_daemon_that_an_instance_left_behind_is_killed(
    pulsar_broker: RunningBroker, tmp_path: Path, kind: str
) -> None:
    """A process in a session of its own, started by the function, ends with the instance."""
    script = (
        "import subprocess\n"
        "daemon = subprocess.Popen(['sleep', '1000'], start_new_session=True)\n"
        "print('daemon', daemon.pid)\n"
        "def process(input): pass\n"
    )
    async with processes(pulsar_broker.service_url, tmp_path, kind=kind) as world:
        running = await world.ready(spec_of(function(), write(tmp_path, script)))
        other = await world.ready(spec_of(function(), write(tmp_path, script)))
        pidfd, spared = (os.pidfd_open(_daemon(each.instance.log_file)) for each in (running, other))
        os.kill(running.instance.pid or 0, signal.SIGKILL)
        assert (await running.instance.wait()).signal == signal.SIGKILL
        await until_ended(pidfd)
        os.kill(_daemon(other.instance.log_file), 0)
        await other.instance.stop(10)
        await until_ended(spared)
        os.close(pidfd)
        os.close(spared)


def _daemon(log: Path) -> int:
    return int(log.read_text().split("daemon ")[1].split()[0])


@both
async def test_twenty_start_and_stop_at_once(pulsar_broker: RunningBroker, tmp_path: Path, kind: str) -> None:
    """Each has ports of its own, all are subscribed, and all end."""
    code = write(tmp_path, ECHO)
    async with processes(pulsar_broker.service_url, tmp_path, kind=kind) as world:
        started = []

        async def start() -> None:
            started.append((await world.ready(spec_of(function(), code))).instance)

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(start)
        ports = {port for instance in started for port in (instance.grpc_port, instance.metrics_port)}
        assert len(ports) == 40
        async with anyio.create_task_group() as tasks:
            for instance in started:
                tasks.start_soon(instance.stop, 10)
        assert [(await instance.wait()).code for instance in started] == [0] * 20


@both
async def test_instances_do_not_notice_the_end_of_their_zygote(
    pulsar_broker: RunningBroker, tmp_path: Path, kind: str
) -> None:
    """A killed zygote's instances go on, and the next instance starts all the same."""
    code, details = write(tmp_path, ECHO), function(output=f"persistent://public/default/{tmp_path.name}{kind}")
    async with processes(pulsar_broker.service_url, tmp_path, kind=kind) as world:
        running = await world.ready(spec_of(details, code))
        assert isinstance(world.runtime, ProcessRuntime)
        (zygote,) = world.runtime.zygote_pids
        os.kill(zygote, signal.SIGKILL)
        second = await world.ready(spec_of(function(), code))
        third = await world.ready(spec_of(function(), code))
        assert world.runtime.zygote_pids != [zygote]
        assert await exchange(pulsar_broker, details, "still here") == ["still here!"]
        for each in (running, second, third):
            await each.instance.stop(10)
            assert (await each.instance.wait()).code == 0


async def test_a_launcher_that_is_killed_takes_its_instances_along_and_comes_back(
    pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """Where the launcher is the parent, its instances end with it, are told as ended, and can be started again."""
    code = write(tmp_path, ECHO)
    async with processes(pulsar_broker.service_url, tmp_path) as world:
        running = await world.ready(spec_of(function(), code))
        os.kill(world.launcher.pid, signal.SIGKILL)
        assert (await running.instance.wait()).signal == signal.SIGKILL
        again = await world.ready(spec_of(function(), code))
        await again.instance.stop(10)


async def test_a_language_without_a_launch_is_refused_by_name(tmp_path: Path) -> None:
    """It is a refusal, which is not retried."""
    async with processes("pulsar://127.0.0.1:1", tmp_path) as world:
        runtime = ProcessRuntime(world.settings, world.launcher, {})
        with pytest.raises(RefusedError, match="PYTHON functions can't run"):
            await runtime.start(spec_of(function(), write(tmp_path, ECHO)))


async def test_a_start_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """A log directory that can't be written is named, and the copy of the package is removed again."""
    (tmp_path / "logs").write_text("a file, no directory")
    async with processes("pulsar://127.0.0.1:1", tmp_path) as world:
        with pytest.raises(RuntimeStartError, match=r"logs can.t be written.*logDirectory"):
            await world.runtime.start(spec_of(function(), write(tmp_path, ECHO)))
        assert not world.settings.download_directory.exists() or not list(world.settings.download_directory.iterdir())


WORKER = """
import sys, anyio
from pathlib import Path
from supervised import function, processes, spec_of, write

async def main(url, folder, kind):
    code = write(folder, "import subprocess\\ndaemon = subprocess.Popen(['sleep', '1000'], start_new_session=True)\\n"
                         "print('daemon', daemon.pid)\\ndef process(i): pass\\n")
    async with processes(url, folder, kind=kind) as world:
        running = [await world.ready(spec_of(function(), code)) for _ in range(5)]
        for each in running:
            print(each.instance.pid, each.instance.log_file.read_text().split("daemon ")[1].split()[0], flush=True)
        print("all", flush=True)
        await anyio.sleep_forever()

anyio.run(main, sys.argv[1], Path(sys.argv[2]), sys.argv[3])
"""


@both
async def test_nothing_is_left_a_second_after_the_worker_is_killed(
    pulsar_broker: RunningBroker, tmp_path: Path, kind: str
) -> None:
    """kill -9 of the worker ends its instances and what they started, sessions of their own notwithstanding."""
    command = [sys.executable, "-c", WORKER, pulsar_broker.service_url, str(tmp_path), kind]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    worker = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True)  # noqa: ASYNC220
    assert worker.stdout is not None
    with worker.stdout:
        pids = []
        while (line := worker.stdout.readline().strip()) != "all":
            assert line, "the worker ended"
            pids += map(int, line.split())
        pidfds = [os.pidfd_open(pid) for pid in pids]
        worker.kill()
        worker.wait()
    with anyio.fail_after(1):
        for pidfd in pidfds:
            await until_ended(pidfd)
            os.close(pidfd)


async def test_ports_that_are_chosen_are_free(pulsar_broker: RunningBroker, tmp_path: Path) -> None:
    """An instance listens where its record says, on loopback alone."""
    async with processes(pulsar_broker.service_url, tmp_path) as world:
        running = await world.ready(spec_of(function(), write(tmp_path, ECHO)))
        assert Ready() in running.told
        for port in (running.instance.grpc_port, running.instance.metrics_port):
            with socket.create_connection(("127.0.0.1", port or 0)):
                pass
        await running.instance.stop(10)


def told_of(pid: int | None, what: str) -> str:
    return Path(f"/proc/{pid}/{what}").read_text()


HOARD = "held = []\ndef process(input):\n    held.append(bytearray(int(input)))\n    return 'kept'\n"


async def test_an_instance_that_takes_too_much_memory_is_ended_for_it(
    pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """With limits enforced, by a control group or without: its reason says so, and what it may have it gets."""
    details = function(output=f"persistent://public/default/{tmp_path.name}")
    details.resources.cpu, details.resources.ram, details.resources.disk = 1.0, 400 * 2**20, 5 * 2**20
    async with processes(pulsar_broker.service_url, tmp_path, limits=LimitSettings(enforce=True, pids=200)) as world:
        running = await world.ready(spec_of(details, write(tmp_path, HOARD)))
        status = told_of(running.instance.pid, "status")
        assert "NoNewPrivs:\t1" in status
        limits = told_of(running.instance.pid, "limits")
        assert "Max file size             5242880" in limits
        assert await exchange(pulsar_broker, details, "1000") == ["kept"]
        topic = next(iter(details.source.inputSpecs))
        with client_of(pulsar_broker.service_url) as client:
            await anyio.to_thread.run_sync(produce, client, topic, [str(500 * 2**20).encode()])
        ended = await running.instance.wait()
        assert ended.signal == signal.SIGKILL
        assert "out of memory" in ended.describe()
        assert "resources.ram allow 400" in ended.describe()
