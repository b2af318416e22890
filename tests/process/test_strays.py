import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from magnetar.cli.doctor.findings import Verdict
from magnetar.cli.doctor.strays import look_at_strays
from magnetar.data_directory import owned
from magnetar.processes.home import LauncherHome, Survival
from magnetar.processes.identity import Identity, write_record
from magnetar.processes.launcher import Launcher, Spawn
from magnetar.processes.leftovers import INSTANCE_MARKER
from magnetar.processes.strays import take_inventory

MARK = "0123456789abcdef"


@contextmanager
def process(**environment: str) -> Iterator[Identity]:
    """A process of its own session that waits to be ended."""
    sleeper = subprocess.Popen(
        ["sleep", "1000"], env={"PATH": os.environ["PATH"], **environment}, start_new_session=True
    )
    try:
        yield Identity.of(sleeper.pid)
    finally:
        sleeper.kill()
        sleeper.wait()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "instances").mkdir()
    return tmp_path


def record(data: Path, identity: Identity, name: str) -> None:
    write_record(data / "instances" / f"{name}.json", identity, {"instance": f"a/b/{name}:0"})


def test_strays_are_told_from_other_processes_and_ended_alone(data: Path) -> None:
    """By record or by mark; one that merely has the number of a stray, or another directory's mark, is left alone."""
    with (
        process() as stray,
        process() as innocent,
        process(**{INSTANCE_MARKER: f"{MARK}:a/b/c:0:id"}) as daemon,
        process(**{INSTANCE_MARKER: "another:a/b/c:0:id"}) as others,
    ):
        record(data, stray, "stray")
        record(data, replace(innocent, start_time=innocent.start_time - 1), "reused")
        record(data, replace(innocent, boot_id="an earlier boot"), "old")
        write_record(data / "launcher.json", replace(innocent, start_time=1), {"mark": MARK})
        assert {each.identity for each in take_inventory(data).strays} == {stray, daemon}
        [told] = look_at_strays(data, end=False)
        assert told.verdict is Verdict.WARNING
        assert f"{stray.pid} (a/b/stray:0)" in told.detail
        assert stray.alive
        [ended] = look_at_strays(data, end=True)
        assert ended.verdict is Verdict.OK
        assert (stray.alive, daemon.alive, innocent.alive, others.alive) == (False, False, True, True)
        [none] = look_at_strays(data, end=False)
        assert none.verdict is Verdict.OK


def test_what_a_running_worker_has_is_no_stray(data: Path) -> None:
    """The owner of the directory is told by its lock; what is below it is its own."""
    with owned(data), process() as instance:
        record(data, instance, "c")
        inventory = take_inventory(data)
        assert (inventory.owner, inventory.strays, inventory.kept) == (os.getpid(), (), ())


@pytest.mark.anyio
async def test_survivors_are_told_and_ended_with_their_guardian(data: Path) -> None:
    """What a guardian keeps for the next worker is no stray; asked to, the guardian ends it."""
    survival = Survival(survive_for=100, grace=5)
    async with Launcher(home=data, survival=survival) as launcher:
        wanted = Spawn(
            ["sleep", "1000"],
            {"PATH": os.environ["PATH"]},
            record=str(data / "instances" / "x.json"),
            facts={"instance": "a/b/x:0"},
        )
        child = Identity.of((await launcher.spawn(wanted)).pid)
        with anyio.fail_after(60):
            while not (data / "instances" / "x.json").exists():
                await anyio.lowlevel.checkpoint()
    guardian = LauncherHome(data).launcher
    assert guardian is not None
    try:
        told, none = look_at_strays(data, end=False)
        assert (told.verdict, none.verdict) == (Verdict.NOTE, Verdict.OK)
        assert f"{child.pid} (a/b/x:0)" in told.detail
        assert child.alive
        ended, _ = look_at_strays(data, end=True)
        assert ended.verdict is Verdict.OK
        assert (child.alive, guardian.alive) == (False, False)
    finally:
        if guardian.alive:
            os.kill(guardian.pid, signal.SIGKILL)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
