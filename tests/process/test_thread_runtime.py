import logging
import os
import sys
import textwrap
import threading
import uuid
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pulsar
import pytest
from magnetar.errors import RefusedError
from magnetar.lifecycle import Phase
from magnetar.policy.health import HealthPolicy
from magnetar.runtimes.base import BootFailed, InstanceSpec, Notice, Progress, Ready
from magnetar.runtimes.thread.instance import ThreadInstance
from magnetar.runtimes.thread.runtime import ThreadRuntime
from magnetar.runtimes.thread.settings import ThreadSettings
from magnetar_broker.testing import RunningBroker
from magnetar_instance.proto.function import EARLIEST, FunctionDetails
from supervised import supervised

pytestmark = pytest.mark.anyio
GRACE = 0.2


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def client(pulsar_broker: RunningBroker) -> Iterator[pulsar.Client]:
    made = pulsar.Client(pulsar_broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    yield made
    made.close()


@asynccontextmanager
async def runtime(broker: RunningBroker, tmp_path: Path) -> AsyncIterator[ThreadRuntime]:
    settings = ThreadSettings(broker.service_url, "test", tmp_path / "logs", tmp_path / "download", group_name="group")
    with anyio.fail_after(50):
        async with ThreadRuntime(settings) as made:
            yield made


def spec(package: Path, *, class_name: str = "function", language: str = "PYTHON") -> InstanceSpec:
    """A function of its own name and topics over some code."""
    name = f"f-{uuid.uuid4().hex[:8]}"
    details = FunctionDetails(
        tenant="public", namespace="default", name=name, className=class_name, runtime=language, autoAck=True
    )
    details.source.inputSpecs[f"persistent://public/default/{name}-in"].SetInParent()
    details.source.subscriptionPosition = EARLIEST
    details.sink.topic = f"persistent://public/default/{name}-out"
    return InstanceSpec(details, 0, package, "id", "version")


def code(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    file = folder / "function.py"
    file.write_text(textwrap.dedent(text))
    return file


async def first(instance: ThreadInstance) -> Notice:
    async for notice in instance.notices():
        return notice
    raise AssertionError((await instance.wait()).reason)


class Gate:
    """A FIFO that a function waits at until a test opens it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "gate"
        self.function = f"def process(input):\n    open({str(self.path)!r}).read()\n"
        self._held = -1
        os.mkfifo(self.path)

    async def reached(self) -> None:
        """Wait until the function is at the gate."""
        self._held = await anyio.to_thread.run_sync(os.open, self.path, os.O_WRONLY)

    def open(self, *, always: bool = False) -> None:
        """Let whoever waits go on, and with `always` everyone who comes."""
        if always:
            self.path.rename(self.path.with_suffix(".old"))
            self.path.touch()
            os.close(os.open(self.path.with_suffix(".old"), os.O_RDWR))
        if self._held >= 0:
            os.close(self._held)


def send(client: pulsar.Client, wanted: InstanceSpec) -> None:
    """Send a message to a function."""
    producer = client.create_producer(next(iter(wanted.details.source.inputSpecs)))
    producer.send(b"x")
    producer.close()


async def flow(client: pulsar.Client, wanted: InstanceSpec, data: bytes, count: int = 1) -> list[bytes]:
    """Send one message in and return the first that came out."""

    def go() -> list[bytes]:
        consumer = client.subscribe(wanted.details.sink.topic, "test", initial_position=pulsar.InitialPosition.Earliest)
        producer = client.create_producer(next(iter(wanted.details.source.inputSpecs)))
        producer.send(data)
        contents = [consumer.receive(20_000).data() for _ in range(count)]
        producer.close()
        consumer.close()
        return contents

    return await anyio.to_thread.run_sync(go)


def threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name.startswith("group:")]


async def ended(those: list[threading.Thread]) -> None:
    """Wait until threads have ended."""
    for each in those:
        await anyio.to_thread.run_sync(each.join, 30)
        assert not each.is_alive()


async def test_prints_and_records_go_to_the_functions_own_file(
    pulsar_broker: RunningBroker, client: pulsar.Client, tmp_path: Path
) -> None:
    """A function's output is in its file, and the process's streams and logging are as before afterwards."""
    stdout, handlers = sys.stdout, list(logging.getLogger().handlers)
    package = code(
        tmp_path / "code",
        """
        import logging

        def process(input):
            print("printed", input)
            logging.getLogger("mine").warning("logged")
            return f"{input}!"
        """,
    )
    wanted = spec(package)
    async with runtime(pulsar_broker, tmp_path) as made:
        instance = await made.start(wanted)
        assert isinstance(await first(instance), Ready)
        assert [each.name for each in threads()] == [f"group: {wanted.fqfn}-0"]
        assert await flow(client, wanted, b"a") == [b"a!"]
        assert (await instance.status()).numSuccessfullyProcessed == 1
        assert "pulsar_function_received_total" in await instance.metrics_text()
        await instance.stop(10)
        assert not (await instance.status()).running
    text = instance.log_file.read_text()
    assert "printed a" in text
    assert "logged" in text
    assert sys.stdout is stdout
    assert logging.getLogger().handlers == handlers


async def test_two_functions_with_a_module_of_one_name_do_not_meet(
    pulsar_broker: RunningBroker, client: pulsar.Client, tmp_path: Path
) -> None:
    """Each finds its own `util`, imported at once, later, and by importlib."""
    made_of = """
        import importlib
        import util

        def process(input):
            from util import NAME
            return "-".join((util.NAME, NAME, importlib.import_module("util").NAME))
        """
    async with runtime(pulsar_broker, tmp_path) as made:
        outputs = {}
        for name in ("one", "two"):
            folder = tmp_path / name
            code(folder / "source", made_of)
            package = folder / f"{name}.zip"
            with zipfile.ZipFile(package, "w") as archive:
                archive.write(folder / "source" / "function.py", f"{name}/src/function.py")
                archive.writestr(f"{name}/src/util.py", f"NAME = {name!r}")
            wanted = spec(package)
            instance = await made.start(wanted)
            assert isinstance(await first(instance), Ready)
            outputs[name] = (instance, wanted)
        for name, (instance, wanted) in outputs.items():
            assert await flow(client, wanted, b"x") == [f"{name}-{name}-{name}".encode()]
            await instance.stop(10)


async def test_a_boot_failure_brings_the_tracebacks_last_lines(pulsar_broker: RunningBroker, tmp_path: Path) -> None:
    """What no retry mends is told as such."""
    package = code(tmp_path / "code", "import no_such_module\n")
    async with runtime(pulsar_broker, tmp_path) as made:
        instance = await made.start(spec(package))
        notice = await first(instance)
        assert isinstance(notice, BootFailed)
        assert "no_such_module" in notice.reason
        assert notice.traceback
        await instance.wait()


async def test_an_exit_of_user_code_ends_the_instance_with_its_reason(
    pulsar_broker: RunningBroker, client: pulsar.Client, tmp_path: Path
) -> None:
    """sys.exit in a function is the end of that instance alone, and says so."""
    package = code(tmp_path / "code", "import sys\ndef process(input):\n    sys.exit(3)\n")
    wanted = spec(package)
    async with runtime(pulsar_broker, tmp_path) as made:
        instance = await made.start(wanted)
        assert isinstance(await first(instance), Ready)
        producer = client.create_producer(next(iter(wanted.details.source.inputSpecs)))
        producer.send(b"x")
        producer.close()
        assert "exit" in (await instance.wait()).reason


async def test_a_stuck_function_is_given_up_and_its_successor_gets_the_subscription(
    pulsar_broker: RunningBroker, client: pulsar.Client, tmp_path: Path
) -> None:
    """The place in the user's code is named, the thread counted, and nobody shares the subscription with it."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    package = code(
        tmp_path / "code",
        f"""
        import pathlib
        gate = pathlib.Path({str(gate)!r})

        def process(input):
            if gate.exists():
                gate.read_bytes()
            return input
        """,
    )
    wanted = spec(package)
    wanted.details.retainOrdering = True
    async with runtime(pulsar_broker, tmp_path) as made:
        instance = await made.start(wanted)
        assert isinstance(await first(instance), Ready)
        producer = client.create_producer(next(iter(wanted.details.source.inputSpecs)))
        producer.send(b"x")
        producer.close()
        held = await anyio.to_thread.run_sync(os.open, gate, os.O_WRONLY)
        gate.unlink()
        stuck = threads()
        await instance.stop(GRACE)
        reason = (await instance.wait()).reason
        assert "stuck in user code" in reason
        assert "function.py:" in reason
        assert made.abandoned_threads == 1
        successor = await made.start(InstanceSpec(wanted.details, 0, package, "id", "version-2"))
        assert isinstance(await first(successor), Ready)
        os.close(held)
        assert await flow(client, wanted, b"y", 2) == [b"x", b"y"]
        await ended(stuck)
        assert made.abandoned_threads == 0
        await successor.stop(10)


async def test_one_stuck_function_delays_nobodys_stop(
    pulsar_broker: RunningBroker, client: pulsar.Client, tmp_path: Path
) -> None:
    """Of many functions the others are stopped while one does not return."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    stuck = code(tmp_path / "stuck", f"open({str(gate)!r}).read()\ndef process(input):\n    return input\n")
    echo = code(tmp_path / "echo", "def process(input):\n    return input\n")
    async with runtime(pulsar_broker, tmp_path) as made:
        blocked = await made.start(spec(stuck))
        held = await anyio.to_thread.run_sync(os.open, gate, os.O_WRONLY)
        others = [await made.start(spec(echo)) for _ in range(20)]
        for each in others:
            assert isinstance(await first(each), Ready)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(blocked.stop, 30)
            async with anyio.create_task_group() as stops:
                for each in others:
                    stops.start_soon(each.stop, 10)
            assert not blocked._over.is_set()
            os.close(held)
        await ended(threads())


async def test_other_languages_are_refused(pulsar_broker: RunningBroker, tmp_path: Path) -> None:
    """Java and Go functions are sent to the process runtime by name."""
    async with runtime(pulsar_broker, tmp_path) as made:
        with pytest.raises(RefusedError, match="process runtime"):
            await made.start(spec(tmp_path / "x.jar", language="JAVA"))


async def test_each_instance_has_a_copy_of_its_own_which_goes_with_it(
    pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """Nothing is written beside the package that was handed over."""
    package = code(tmp_path / "code", "def process(input):\n    return input\n")
    async with runtime(pulsar_broker, tmp_path) as made:
        instance = await made.start(spec(package))
        assert isinstance(await first(instance), Ready)
        assert len(list((tmp_path / "download").rglob("function.py"))) == 1
        await instance.stop(10)
        await ended(threads())
        await instance.closed.wait()
        assert not list((tmp_path / "download").rglob("function.py"))
        assert [each.name for each in package.parent.iterdir()] == ["function.py"]


async def test_the_code_of_a_zip_is_named_where_it_is_stuck(
    pulsar_broker: RunningBroker, client: pulsar.Client, tmp_path: Path
) -> None:
    """The user's own line is told, not that of the library that it waits in."""
    gate = Gate(tmp_path)
    package = tmp_path / "pack.zip"
    with zipfile.ZipFile(package, "w") as archive:
        text = f"import pathlib\n\ndef process(input):\n    pathlib.Path({str(gate.path)!r}).read_text()\n"
        archive.writestr("pack/src/waiting.py", text)
    wanted = spec(package, class_name="waiting")
    async with runtime(pulsar_broker, tmp_path) as made:
        instance = await made.start(wanted)
        told = instance.notices()
        assert isinstance(await anext(told), Ready)
        send(client, wanted)
        assert await anext(told) == Progress(received=1, processed=0)
        await gate.reached()
        assert "waiting.py:4 in process" in instance.stuck_at()
        await instance.stop(GRACE)
        assert "waiting.py:4 in process" in (await instance.wait()).reason
        gate.open()
        await ended(threads())


async def test_a_function_that_stalls_is_unhealthy_with_its_stack_in_its_log_and_is_replaced(
    pulsar_broker: RunningBroker, client: pulsar.Client, tmp_path: Path
) -> None:
    """The thread is given up at the limit, and another one takes the subscription over."""
    gate = Gate(tmp_path)
    package = code(tmp_path / "code", gate.function)
    wanted = spec(package)
    health = HealthPolicy(stall_after=0.2, stall_timeout=0.4)
    async with runtime(pulsar_broker, tmp_path) as made, supervised(made, health=health, stop_grace=GRACE) as world:
        name = world.run(wanted.details, package)
        await world.until(name, Phase.RUNNING)
        send(client, wanted)
        view = await world.until(name, Phase.UNHEALTHY)
        assert "1 message(s)" in view.reason
        assert view.log_file is not None
        assert "function.py" in view.log_file.read_text()
        while not any("finished no message for 0.4 s" in event.reason for event in world.supervisor.events(name)):
            await world.supervisor.changed(world.supervisor.generation)
        assert made.abandoned_threads >= 1
        world.remove(name)
        gate.open(always=True)
        await ended(threads())


MANY = 200


@pytest.mark.timeout(120)
async def test_two_hundred_functions_stop_without_waiting_for_each_other(
    pulsar_broker: RunningBroker, client: pulsar.Client, tmp_path: Path
) -> None:
    """One of them is stuck; every other one has ended before it is given up, and no thread is left."""
    gate = Gate(tmp_path)
    echo = code(tmp_path / "echo", "def process(input):\n    return input\n")
    wanted = spec(code(tmp_path / "stuck", gate.function))
    async with runtime(pulsar_broker, tmp_path) as made:
        blocked = await made.start(wanted)
        assert isinstance(await first(blocked), Ready)
        send(client, wanted)
        await gate.reached()
        others = [await made.start(spec(echo)) for _ in range(MANY - 1)]
        for each in others:
            assert isinstance(await first(each), Ready)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(blocked.stop, 3600)
            async with anyio.create_task_group() as stops:
                for each in others:
                    stops.start_soon(each.stop, 60)
            assert all(each._over.is_set() for each in others)
            assert not blocked._over.is_set()
            tasks.cancel_scope.cancel()
        await blocked.stop(GRACE)
        assert made.abandoned_threads == 1
        gate.open()
        await ended(threads())


EMBEDDER = """
import sys, threading, time
import anyio, pulsar
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from process.test_thread_runtime import GRACE, first, send, spec
from magnetar.runtimes.thread.runtime import ThreadRuntime
from magnetar.runtimes.thread.settings import ThreadSettings

async def main(url, folder):
    code = folder / "function.py"
    code.write_text("import time\\ndef process(input):\\n    print('got it', flush=True)\\n    time.sleep(1000)\\n")
    wanted = spec(code)
    async with ThreadRuntime(ThreadSettings(url, "test", folder / "logs", folder / "download")) as runtime:
        instance = await runtime.start(wanted)
        await first(instance)
        client = pulsar.Client(url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
        send(client, wanted)
        client.close()
        while "got it" not in instance.log_file.read_text():
            await anyio.lowlevel.checkpoint()
        await instance.stop(GRACE)
        assert runtime.abandoned_threads == 1
    print("left", flush=True)

anyio.run(main, sys.argv[1], Path(sys.argv[2]))
"""


async def test_a_stuck_function_neither_delays_the_workers_exit_nor_spoils_it(
    pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """The interpreter ends with 0, and at once, though a thread of it never comes back."""
    tests = str(Path(__file__).parents[1])
    command = [sys.executable, "-c", EMBEDDER, pulsar_broker.service_url, str(tmp_path), tests]
    for _ in range(2):
        process = await anyio.run_process(command, check=False, stderr=None)
        assert process.returncode == 0
        assert process.stdout == b"left\n"
