import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from magnetar.processes.home import LauncherHome, Survival
from magnetar.processes.identity import Identity
from magnetar.processes.launcher import Launcher, Spawn
from magnetar.processes.watch import ExitStatus

pytestmark = pytest.mark.anyio
ENVIRONMENT = {"PATH": os.environ["PATH"]}
LONG = Survival(survive_for=60, grace=5)
SLEEP = Spawn(["sleep", "1000"], ENVIRONMENT)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def home(folder: Path) -> AsyncIterator[LauncherHome]:
    """A directory for guardians, of which none is left."""
    made = LauncherHome(folder)
    try:
        with anyio.fail_after(60):
            yield made
    finally:
        with anyio.CancelScope(shield=True):
            if (left := made.launcher) is not None:
                await left.end(0)


async def until_gone(identity: Identity) -> None:
    await identity.end(50)


async def test_what_was_started_goes_on_and_is_adopted(tmp_path: Path) -> None:
    """The next launcher of a directory finds the same guardian and its children, and is told how each of them ends."""
    async with home(tmp_path):
        async with Launcher(home=tmp_path, survival=LONG) as first:
            guardian, mark = first.pid, first.mark
            child = Identity.of((await first.spawn(SLEEP)).pid)
        assert child.alive
        async with Launcher(home=tmp_path, survival=LONG) as second:
            assert (second.pid, second.mark, second.restarts) == (guardian, mark, 0)
            adopted = second.adopt(child)
            second.settled()
            assert adopted is not None
            assert adopted.alive
            os.kill(child.pid, signal.SIGTERM)
            assert await adopted.wait() == ExitStatus(signal=signal.SIGTERM)


async def test_an_end_that_no_worker_saw_is_told_with_its_code(tmp_path: Path) -> None:
    """A process that ended in between is adopted as ended, with its exit code."""
    async with home(tmp_path):
        async with Launcher(home=tmp_path, survival=LONG) as first:
            read, write = os.pipe()
            wanted = Spawn(["sh", "-c", "read x <&$GO; exit 7"], ENVIRONMENT, descriptors={"GO": read})
            child = Identity.of((await first.spawn(wanted)).pid)
            os.close(read)
        os.write(write, b"\n")
        os.close(write)
        await until_gone(child)
        async with Launcher(home=tmp_path, survival=LONG) as second:
            adopted = second.adopt(child)
            assert adopted is not None
            assert await adopted.wait() == ExitStatus(code=7)


async def test_a_process_of_the_same_number_is_not_adopted(tmp_path: Path) -> None:
    """Who has the number but not the start time is another process: the one that was meant has ended."""
    async with home(tmp_path):
        async with Launcher(home=tmp_path, survival=LONG) as first:
            child = Identity.of((await first.spawn(SLEEP)).pid)
        async with Launcher(home=tmp_path, survival=LONG) as second:
            other = second.adopt(Identity(child.pid, child.start_time - 1, child.boot_id))
            assert other is not None
            assert await other.wait() == ExitStatus()
            assert second.adopt(Identity(child.pid, child.start_time, "another boot")) is None


async def test_held_descriptors_are_handed_to_the_next(tmp_path: Path) -> None:
    """A pipe that was held stays open while no worker is there, and works for the next one."""
    async with home(tmp_path):
        read, write = os.pipe()
        async with Launcher(home=tmp_path, survival=LONG) as first:
            await first.hold("k", write)
            os.close(write)
        async with Launcher(home=tmp_path, survival=LONG) as second:
            again = await second.fetch("k")
            assert again is not None
            os.write(again, b"hello")
            os.close(again)
            assert os.read(read, 10) == b"hello"
            await second.release("k")
            assert os.read(read, 10) == b""
            assert await second.fetch("k") is None
        os.close(read)


async def test_without_a_next_worker_all_is_ended(tmp_path: Path) -> None:
    """After `survive_for` the guardian ends its children and leaves; who comes then starts another one."""
    async with home(tmp_path):
        async with Launcher(home=tmp_path, survival=Survival(survive_for=0.2, grace=5)) as first:
            guardian = Identity.of(first.pid)
            child = Identity.of((await first.spawn(SLEEP)).pid)
        await until_gone(guardian)
        assert not child.alive
        async with Launcher(home=tmp_path, survival=LONG) as second:
            assert second.adopt(child) is None


async def test_who_wants_no_survivors_ends_them(tmp_path: Path) -> None:
    """A worker that was configured otherwise meanwhile finds nothing running once it has started."""
    async with home(tmp_path):
        async with Launcher(home=tmp_path, survival=LONG) as first:
            guardian = Identity.of(first.pid)
            child = Identity.of((await first.spawn(SLEEP)).pid)
        async with Launcher(home=tmp_path):
            assert not child.alive
            assert not guardian.alive


async def test_a_guardian_that_is_killed_takes_its_children_along_and_is_replaced(tmp_path: Path) -> None:
    """Nothing is left that nobody guards; the worker sees the ends and starts with another guardian."""
    async with home(tmp_path), Launcher(home=tmp_path, survival=LONG) as made:
        first = made.pid
        child = await made.spawn(SLEEP)
        os.kill(first, signal.SIGKILL)
        assert (await child.wait()).signal == signal.SIGKILL
        again = await made.spawn(SLEEP)
        assert made.pid != first
        assert again.alive
