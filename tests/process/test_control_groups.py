"""Limits that a real kernel keeps (cgroup v2); `scripts/guest` runs this where the host has none."""

import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import psutil
import pytest
from instance_process import collect, produce
from magnetar.processes.cgroups import delegated
from magnetar.runtimes.process.settings import LimitSettings
from magnetar_broker.testing import RunningBroker
from magnetar_instance.proto.function import FunctionDetails
from other_users import NUMBERS, open_folder, open_python
from requirements import requires
from supervised import Processes, Running, client_of, function, processes, spec_of, write

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.timeout(240),
    requires("cgroup", lambda: delegated() is not None),
]
CODE = """
import os, subprocess, sys, threading, time
def process(input):
    word, _, value = input.partition(" ")
    return globals()[word](value)
def where(_):
    child = subprocess.run(["cat", "/proc/self/cgroup"], capture_output=True, text=True)
    return open("/proc/self/cgroup").read() + "|" + child.stdout
def child_takes(size):
    code = "held = bytearray(int(%s))\\nprint('has it', flush=True)\\ninput()" % size
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return child.stdout.readline()
def threads(most):
    go, started = threading.Event(), []
    try:
        for _ in range(int(most)):
            started.append(threading.Thread(target=go.wait))
            started[-1].start()
    except RuntimeError as error:
        return str(error)
    finally:
        go.set()
    return "all"
def burn(seconds):
    until = time.process_time() + float(seconds)
    while time.process_time() < until:
        pass
    return "burnt"
def hide(_):
    return str(subprocess.Popen(["sleep", "3600"], env={}, start_new_session=True).pid)
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def asked(cpu: float = 0.0, ram: int = 0) -> FunctionDetails:
    details = function(output=f"persistent://public/default/out-{os.urandom(4).hex()}")
    details.resources.cpu, details.resources.ram = cpu, ram
    return details


@asynccontextmanager
async def confined(broker: RunningBroker, folder: Path, pids: int = 0) -> AsyncIterator[Processes]:
    limits = LimitSettings(enforce=True, pids=pids)
    async with processes(broker.service_url, folder, limits=limits, patience=200) as world:
        yield world


def send(broker: RunningBroker, details: FunctionDetails, text: str) -> None:
    with client_of(broker.service_url) as client:
        produce(client, next(iter(details.source.inputSpecs)), [text.encode()])


async def answer(broker: RunningBroker, details: FunctionDetails, text: str, nth: int = 1) -> str:
    """Send a function its nth message; returns what it answers."""

    def run() -> str:
        send(broker, details, text)
        with client_of(broker.service_url) as client:
            return collect(client, details.sink.topic, nth)[-1].data().decode()

    return await anyio.to_thread.run_sync(run)


def own_group(pid: int | str = "self") -> str:
    return Path(f"/proc/{pid}/cgroup").read_text().strip().rpartition("0::")[2]


def group_of(pid: int) -> Path:
    root = delegated()
    assert root is not None
    return root / "magnetar.instances" / Path(own_group(pid)).name


async def started(world: Processes, details: FunctionDetails, folder: Path) -> tuple[Running, Path]:
    running = await world.ready(spec_of(details, write(folder, CODE)))
    return running, group_of(running.instance.pid)


async def test_an_instance_and_its_children_are_in_a_group_of_their_own(
    pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """It has the limits; the worker is in another; what hides from everything else is killed with it; nothing stays."""
    details = asked(cpu=0.5, ram=400 * 2**20)
    async with confined(pulsar_broker, tmp_path, pids=200) as world:
        running, group = await started(world, details, tmp_path)
        told = {name: (group / name).read_text().strip() for name in ("cpu.max", "memory.max", "pids.max")}
        assert told == {"cpu.max": "50000 100000", "memory.max": str(400 * 2**20), "pids.max": "200"}
        assert own_group().endswith("/magnetar.worker")
        own, child = (await answer(pulsar_broker, details, "where")).split("|")
        assert own == child
        assert Path(own.strip()).name == group.name
        hidden = psutil.Process(int(await answer(pulsar_broker, details, "hide", 2)))
        await running.instance.stop(10)
        with anyio.fail_after(60):
            while hidden.is_running() and hidden.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110 - nothing tells
                await anyio.sleep(0.01)
        again, other = await started(world, asked(), tmp_path)
        assert not group.exists()
        assert (other / "memory.max").read_text() == "max\n"
        await again.instance.stop(10)


async def test_memory_that_a_child_takes_ends_the_instance(pulsar_broker: RunningBroker, tmp_path: Path) -> None:
    """The kernel ends the group as one, the reason says why; the next one, killed by somebody, is not told as that."""
    details = asked(ram=200 * 2**20)
    async with confined(pulsar_broker, tmp_path) as world:
        running, _ = await started(world, details, tmp_path)
        assert await answer(pulsar_broker, details, f"child_takes {20 * 2**20}") == "has it\n"
        await anyio.to_thread.run_sync(send, pulsar_broker, details, f"child_takes {300 * 2**20}")
        ended = await running.instance.wait()
        assert ended.signal == signal.SIGKILL
        assert "killed by the kernel: out of memory, its resources.ram allow 200 MiB" in ended.describe()
        again, _ = await started(world, asked(ram=200 * 2**20), tmp_path)
        os.kill(again.instance.pid, signal.SIGKILL)
        assert "memory" not in (await again.instance.wait()).describe()


async def test_processes_and_processor_are_bounded(pulsar_broker: RunningBroker, tmp_path: Path) -> None:
    """One thread too many can't be started, and the instance goes on; one that computes is held back."""
    details = asked(cpu=0.2)
    async with confined(pulsar_broker, tmp_path, pids=60) as world:
        running, group = await started(world, details, tmp_path)
        assert await answer(pulsar_broker, details, "threads 100") == "can't start new thread"
        assert await answer(pulsar_broker, details, "burn 0.2", 2) == "burnt"
        figures = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
        assert int(figures["nr_throttled"]) > 0
        await running.instance.stop(10)


NOBODYS = """
import os, sys
from magnetar.processes.cgroups import ControlGroups, Limits, delegated
for turn in range(2):  # a second worker finds what the first one made
    root = delegated()
    groups = ControlGroups(root)
    groups.open()
group = groups.make("one", Limits(0.5, 2**26, 9))
child = os.fork()
if not child:
    group.members.write_text(str(os.getpid()))
    os._exit(open("/proc/self/cgroup").read().strip().endswith("magnetar.instances/one"))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), root.name, os.getuid())
groups.remove(group)
print(group.path.exists(), open("/proc/self/cgroup").read().strip().rpartition("/")[2])
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can delegate a group to another user")
def test_a_group_may_be_that_of_a_user_without_rights() -> None:
    """As systemd does it for a service with `User` and `Delegate=yes`: the group and three of its files are the user's."""
    root = delegated()
    assert root is not None
    # A group of its own beside those of the other tests, which may not be under limited ones.
    group = root.parent / "other.service"
    group.mkdir()
    try:
        for name in ("", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"):
            os.chown(group / name, NUMBERS[0], NUMBERS[0])
        with open_folder() as folder:
            script = folder / "script.py"
            script.write_text(NOBODYS)
            script.chmod(0o644)
            drop = f"import os, sys; os.setgroups([]); os.setgid({NUMBERS[0]}); os.setuid({NUMBERS[0]})"
            join = f"open({str(group / 'cgroup.procs')!r}, 'w').write('0')"
            go = "os.execvp(sys.argv[1], sys.argv[1:])"
            command = [*open_python(), "-c", f"{join}\n{drop}\n{go}", *open_python(), str(script)]
            found = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=folder, check=False)
        assert found.stdout.splitlines() == [f"1 other.service {NUMBERS[0]}", "False magnetar.worker"], found.stderr
    finally:
        for left in (*group.glob("*/"), group):
            left.rmdir()
