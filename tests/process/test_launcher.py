import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from magnetar.host_users import Account, hand_over, why_not_changeable
from magnetar.processes.launcher import Launcher, Spawn
from magnetar.processes.leftovers import INSTANCE_MARKER
from magnetar.processes.subreaper import Subreaper
from magnetar.processes.watch import ExitStatus, children, until_ended
from other_users import open_folder

pytestmark = pytest.mark.anyio
ENVIRONMENT = {"PATH": os.environ["PATH"], "GREETING": "hello"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def launcher(kind: str) -> AsyncIterator[Launcher]:
    """A launcher that is the parent itself, or one that hands its children to this process."""
    with anyio.fail_after(30):
        if kind == "self":
            async with Launcher() as made:
                yield made
        else:
            with Subreaper().installed() as subreaper:
                async with Launcher(subreaper=subreaper) as made:
                    yield made


both = pytest.mark.parametrize("kind", ["self", "worker"])


@both
async def test_an_exit_code_is_told(kind: str) -> None:
    """A process that ends by itself is seen with its code."""
    async with launcher(kind) as made:
        child = await made.spawn(Spawn(["sh", "-c", "exit 7"], ENVIRONMENT))
        assert await child.wait() == ExitStatus(code=7)
        assert not child.alive
        assert await child.wait() == ExitStatus(code=7)


@both
async def test_many_that_end_at_once_are_all_seen(kind: str) -> None:
    """However fast they end, each end is told to the one who started it."""
    async with launcher(kind) as made:
        children = [await made.spawn(Spawn(["sh", "-c", f"exit {n}"], ENVIRONMENT)) for n in range(20)]
        assert [(await child.wait()).code for child in children] == list(range(20))


@both
async def test_a_kill_is_seen_with_its_signal(kind: str) -> None:
    """A process that is killed from outside is seen with the signal."""
    async with launcher(kind) as made:
        child = await made.spawn(Spawn(["sleep", "1000"], ENVIRONMENT))
        os.kill(child.pid, signal.SIGKILL)
        assert await child.wait() == ExitStatus(signal=signal.SIGKILL)


@both
async def test_a_signal_right_after_the_fork_is_not_lost(kind: str) -> None:
    """A process that has no group and no signals of its own yet hears SIGTERM as soon as it does."""
    async with launcher(kind) as made:
        for turn in range(30):
            child = await made.spawn(Spawn(["sleep", "1000"], ENVIRONMENT))
            for _ in range(turn % 5):
                await anyio.lowlevel.checkpoint()
            assert await child.stop(20) == ExitStatus(signal=signal.SIGTERM)


@both
async def test_a_stubborn_process_is_killed_after_the_grace(kind: str) -> None:
    """SIGTERM first, then SIGKILL; the whole group ends."""
    script = "import os, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); os.fork(); print('up'); signal.pause()"
    async with launcher(kind) as made:
        read, write = os.pipe()
        child = await made.spawn(Spawn([sys.executable, "-uc", script], ENVIRONMENT, descriptors={"stdout": write}))
        os.close(write)
        said = b""
        while said.count(b"up") < 2:
            await anyio.wait_readable(read)
            chunk = os.read(read, 100)
            assert chunk, await child.wait()
            said += chunk
        assert await child.stop(0.1) == ExitStatus(signal=signal.SIGKILL)
        while os.read(read, 100):
            await anyio.wait_readable(read)
        os.close(read)


@both
async def test_environment_output_and_descriptors_are_as_asked(kind: str, tmp_path: Path) -> None:
    """The child has exactly the environment given, its file as output, and the descriptor under its name."""
    ours, theirs = socket.socketpair()
    script = (
        "import os, socket; print(sorted(set(os.environ) - {'LC_CTYPE'}));"
        "socket.socket(fileno=int(os.environ['LINK'])).send(os.environ['GREETING'].encode())"
    )
    output = tmp_path / "out.log"
    async with launcher(kind) as made:
        request = Spawn(
            [sys.executable, "-c", script], ENVIRONMENT, output=str(output), descriptors={"LINK": theirs.fileno()}
        )
        child = await made.spawn(request)
        theirs.close()
        assert await child.wait() == ExitStatus(code=0)
    assert output.read_text() == "['GREETING', 'LINK', 'PATH']\n"
    assert ours.recv(10) == b"hello"
    ours.close()


@both
async def test_a_program_that_is_not_there_says_so(kind: str, tmp_path: Path) -> None:
    """A program that can't be run ends with 127 and one line."""
    async with launcher(kind) as made:
        child = await made.spawn(Spawn(["/no/such/program"], ENVIRONMENT, output=str(tmp_path / "out")))
        assert await child.wait() == ExitStatus(code=127)
    assert "/no/such/program could not be run" in (tmp_path / "out").read_text()


@both
async def test_a_large_request_arrives_whole(kind: str, tmp_path: Path) -> None:
    """A command line of half a megabyte is no problem for the socket."""
    async with launcher(kind) as made:
        arguments = ["x" * 100_000] * 5
        child = await made.spawn(Spawn(["sh", "-c", "echo $#", *arguments], ENVIRONMENT, output=str(tmp_path / "out")))
        assert await child.wait() == ExitStatus(code=0)
    assert (tmp_path / "out").read_text() == "4\n"


async def test_children_end_with_a_launcher_that_is_their_parent() -> None:
    """When the launcher is killed, its children die and are told as dead."""
    async with launcher("self") as made:
        child = await made.spawn(Spawn(["sleep", "1000"], ENVIRONMENT))
        pidfd = os.pidfd_open(child.pid)
        os.kill(made.pid, signal.SIGKILL)
        await until_ended(pidfd)
        os.close(pidfd)
        assert (await child.wait()).signal == signal.SIGKILL


async def test_children_survive_a_launcher_that_is_not_their_parent() -> None:
    """Handed over to this process, they do not notice the launcher's end."""
    async with launcher("worker") as made:
        child = await made.spawn(Spawn(["sleep", "1000"], ENVIRONMENT))
        os.kill(made.pid, signal.SIGKILL)
        again = await made.spawn(Spawn(["sh", "-c", "exit 4"], ENVIRONMENT))
        assert await again.wait() == ExitStatus(code=4)
        assert made.restarts == 1
        assert child.alive
        assert await child.stop(5) == ExitStatus(signal=signal.SIGTERM)


OWNER = """
import os, sys, anyio
from magnetar.processes.launcher import Launcher, Spawn
from magnetar.processes.subreaper import Subreaper
async def main(kind):
    with Subreaper().installed() as subreaper:
        async with Launcher(subreaper=subreaper if kind == "worker" else None) as made:
            child = await made.spawn(Spawn(["sleep", "1000"], dict(os.environ)))
            print(child.pid, flush=True)
            await anyio.sleep_forever()
anyio.run(main, sys.argv[1])
"""


async def test_a_launcher_that_is_killed_is_replaced() -> None:
    """Requests that are under way when it dies are asked of the next one, and each is done once."""
    async with launcher("self") as made:
        first = made.pid
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(_spawn_and_wait, made)
            os.kill(first, signal.SIGKILL)
        assert made.restarts >= 1
        assert made.pid != first


async def _spawn_and_wait(made: Launcher) -> None:
    child = await made.spawn(Spawn(["sh", "-c", "exit 5"], ENVIRONMENT))
    assert await child.wait() in {ExitStatus(code=5), ExitStatus(signal=signal.SIGKILL)}


@both
async def test_a_start_that_is_cancelled_leaves_no_process(kind: str, tmp_path: Path) -> None:
    """A launcher that is slow to answer starts nothing for a request that nobody waits for any more."""
    proof = tmp_path / "ran"
    async with launcher(kind) as made:
        os.kill(made.pid, signal.SIGSTOP)
        with anyio.move_on_after(0.05) as scope:
            await made.spawn(Spawn(["touch", str(proof)], ENVIRONMENT))
        assert scope.cancelled_caught
        os.kill(made.pid, signal.SIGCONT)
        child = await made.spawn(Spawn(["true"], ENVIRONMENT))
        assert await child.wait() == ExitStatus(code=0)
        assert not made.family.pids
    assert not proof.exists()


@both
async def test_a_record_names_the_process_for_ever(kind: str, tmp_path: Path) -> None:
    """It is on disk, for its owner's eyes alone, before the process runs: number, start time and boot."""
    record = tmp_path / "record"
    async with launcher(kind) as made:
        request = Spawn(["cat", str(record)], ENVIRONMENT, output=str(tmp_path / "out"), record=str(record))
        child = await made.spawn(replace(request, facts={"ports": [1, 2]}))
        assert await child.wait() == ExitStatus(code=0)
    told = json.loads((tmp_path / "out").read_text())
    assert told["pid"] == child.pid
    assert told["ports"] == [1, 2]
    assert told["startTime"] > 0
    assert told["bootId"]
    assert record.stat().st_mode & 0o777 == 0o600


STRAY = """
import os, subprocess, sys, time
subprocess.Popen(["sleep", "1000"], stdout=subprocess.DEVNULL, start_new_session=True)
print("up", flush=True)
time.sleep(1000)
"""


@both
async def test_daemons_of_a_living_child_end_with_the_launcher(kind: str, tmp_path: Path) -> None:
    """What carries the launcher's mark is ended with it, sessions of its own notwithstanding."""
    async with launcher(kind) as made:
        environment = {**ENVIRONMENT, INSTANCE_MARKER: f"{made.mark}:x"}
        read, write = os.pipe()
        child = await made.spawn(Spawn([sys.executable, "-c", STRAY], environment, descriptors={"stdout": write}))
        os.close(write)
        await anyio.wait_readable(read)
        assert os.read(read, 10) == b"up\n"
        os.close(read)
        strays = [pid for pid in children(child.pid) if os.getsid(pid) != child.pid]
        assert len(strays) == 1
        pidfd = os.pidfd_open(strays[0])
    await until_ended(pidfd)
    os.close(pidfd)
    await child.wait()


@both
async def test_nothing_is_left_when_the_worker_is_killed(kind: str) -> None:
    """kill -9 of the worker ends its instances."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER, kind], stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert owner.stdout is not None
    with owner.stdout:
        pidfd = os.pidfd_open(int(owner.stdout.readline()))
        owner.kill()
        owner.wait()
    with anyio.fail_after(10):
        await until_ended(pidfd)
    os.close(pidfd)


IDENTIFIED = "id -u; id -g; id -G; grep NoNewPrivs /proc/self/status; echo ready; exec sleep 1000"


@pytest.mark.skipif(bool(why_not_changeable()), reason=f"users can't be changed here: {why_not_changeable()}")
@both
async def test_a_child_of_another_user_has_no_other_rights_and_ends_like_any(kind: str) -> None:
    """One user, one group, a log of its own; it takes signals, and ends with a launcher that is its parent."""
    account = Account(230_000, 230_001)
    with open_folder() as folder:
        hand_over(folder / "log", account)
        logs, records = [folder / "log/0", folder / "log/1"], [folder / "0.json", folder / "1.json"]
        wanted = Spawn(["sh", "-c", IDENTIFIED], ENVIRONMENT, user=account, no_new_privileges=True)
        async with launcher(kind) as made:
            children = [
                await made.spawn(replace(wanted, output=str(log), record=str(record)))
                for log, record in zip(logs, records, strict=True)
            ]
            while not all(log.exists() and "ready" in log.read_text() for log in logs):  # noqa: ASYNC110 - nobody tells
                await anyio.sleep(0.01)
            assert logs[0].read_text().split()[:5] == ["230000", "230001", "230001", "NoNewPrivs:", "1"]
            assert (logs[0].stat().st_uid, records[0].stat().st_uid) == (account.uid, os.geteuid())
            children[0].signal(signal.SIGTERM)
            assert await children[0].wait() == ExitStatus(signal=signal.SIGTERM)
            if kind == "self":
                os.kill(made.pid, signal.SIGKILL)
            else:
                children[1].signal(signal.SIGKILL)
            assert (await children[1].wait()).signal == signal.SIGKILL


@pytest.mark.skipif(bool(why_not_changeable()), reason=f"users can't be changed here: {why_not_changeable()}")
async def test_a_log_of_another_user_is_opened_with_their_rights(tmp_path: Path) -> None:
    """A link to a file that is not theirs leads nowhere, and what was to be run is not."""
    account = Account(230_000, 230_000)
    with open_folder() as folder:
        theirs, secret = folder / "log", tmp_path / "secret"
        secret.write_text("")
        hand_over(theirs, account)
        (theirs / "out").symlink_to(secret)
        async with launcher("self") as made:
            child = await made.spawn(
                Spawn(["sh", "-c", "echo said"], ENVIRONMENT, output=str(theirs / "out"), user=account)
            )
            assert (await child.wait()).code != 0
        assert secret.read_text() == ""
