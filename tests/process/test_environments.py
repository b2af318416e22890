"""What packages ask for, resolved and installed by a real uv from wheels made here."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from magnetar.errors import NotReadyError, RefusedError
from magnetar.packages.environments import Environments, EnvironmentSettings
from magnetar.packages.installer import Installer
from magnetar.processes.launcher import Launcher
from wheels import archive, index, wheel

ONE = wheel("one", "1.0", {"one.py": "VALUE = 1\n"})
TWO = wheel("two", "1.0", {"two.py": "import one\n"}, "one")


@contextlib.asynccontextmanager
async def environments(directory: Path, settings: EnvironmentSettings) -> AsyncIterator[Environments]:
    async with Launcher() as launcher:
        installer = Installer(directory / "cache", launcher.spawn, {"PATH": os.environ["PATH"], "UV_HTTP_RETRIES": "0"})
        yield Environments(directory, installer, settings)


def package(folder: Path, requirements: str, *wheels: tuple[str, bytes]) -> Path:
    entries: dict[str, str | bytes] = {f"f/deps/{name}": content for name, content in wheels}
    file = folder / "f.zip"
    file.write_bytes(archive({"f/src/f.py": "", "f/requirements.txt": requirements, **entries}))
    return file


async def test_own_wheels_are_enough_where_nothing_may_be_installed(tmp_path: Path) -> None:
    """Without indexes what `deps` holds is taken, and what it lacks is refused with the key that would allow it."""
    async with environments(tmp_path / "environments", EnvironmentSettings(install=False)) as made:
        told: list[str] = []
        path = await made.prepare(package(tmp_path, "two", ONE, TWO), told.append)
        assert path is not None
        command = [sys.executable, "-c", "import two; print(two.one.VALUE)"]
        done = await anyio.run_process(command, env={"PYTHONPATH": str(path)})
        assert done.stdout == b"1\n"
        assert await made.prepare(tmp_path / "f.zip", told.append) == path
        assert told == ["installing what f.zip asks for in f/requirements.txt"]
        with pytest.raises(RefusedError, match=r"one was not found.*installUserCodeDependencies is false"):
            await made.check(package(tmp_path, "two", TWO), "f.zip")
        assert list((tmp_path / "environments" / "work").iterdir()) == []


async def test_many_that_ask_at_once_install_once(tmp_path: Path) -> None:
    """All get the same directory."""
    settings = EnvironmentSettings(repository=index(tmp_path / "index", ONE))
    paths: list[Path | None] = []
    told: list[str] = []
    code = package(tmp_path, "one")
    async with environments(tmp_path / "environments", settings) as made, anyio.create_task_group() as tasks:

        async def ask() -> None:
            paths.append(await made.prepare(code, told.append))

        for _ in range(20):
            tasks.start_soon(ask)
    assert len(set(paths)) == len(told) == 1


async def test_source_is_built_only_where_that_is_allowed_and_the_instance_s_own_needs_hold(tmp_path: Path) -> None:
    """A build runs code, and a protobuf that the instance can't run with would be found out too late."""
    url = index(tmp_path / "index", wheel("protobuf", "3.0.0", {"google/protobuf/__init__.py": ""}))
    async with environments(tmp_path / "environments", EnvironmentSettings(repository=url)) as made:
        with pytest.raises(RefusedError, match=r"protobuf"):
            await made.check(package(tmp_path, "protobuf"), "f.zip")
        (tmp_path / "source").mkdir()
        with pytest.raises(RefusedError, match=r"[Bb]uild"):
            await made.check(package(tmp_path, f"thing @ {(tmp_path / 'source').as_uri()}"), "f.zip")


async def test_an_index_that_does_not_answer_is_a_matter_of_time(tmp_path: Path) -> None:
    """It is told as such, not as the package's fault, within the time that is allowed."""
    async with environments(
        tmp_path / "environments", EnvironmentSettings(repository="http://127.0.0.1:1/simple", resolve_timeout=30)
    ) as made:
        with anyio.fail_after(60), pytest.raises(NotReadyError, match="asks for"):
            await made.check(package(tmp_path, "one"), "f.zip")


async def test_without_uv_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, and only to packages that ask for something."""
    async with Launcher() as launcher:
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
        made = Environments(
            tmp_path / "environments",
            Installer(tmp_path / "cache", launcher.spawn, {"PATH": str(tmp_path)}),
            EnvironmentSettings(),
        )
        with pytest.raises(RefusedError, match=r"pip install 'magnetar\[environments\]'"):
            await made.check(package(tmp_path, "one"), "f.zip")
        await made.check(package(tmp_path, ""), "f.zip")


async def test_what_was_not_used_for_long_goes_when_a_worker_starts(tmp_path: Path) -> None:
    """The rest stays, untouched."""
    settings = EnvironmentSettings(repository=index(tmp_path / "index", ONE, TWO))
    async with environments(tmp_path / "environments", settings) as made:
        old = await made.prepare(package(tmp_path, "one"), print)
        new = await made.prepare(package(tmp_path, "two"), print)
        assert old is not None
        assert new is not None
        os.utime(old.with_suffix(".used"), (0, 0))
        before = new.stat().st_mtime_ns
        await anyio.to_thread.run_sync(made.sweep, {old})
        await anyio.to_thread.run_sync(made.sweep)
        assert old.exists(), "what is in use is noted as used"
        os.utime(old.with_suffix(".used"), (0, 0))
        await anyio.to_thread.run_sync(made.sweep)
        assert (old.exists(), new.exists()) == (False, True)
        assert await made.prepare(tmp_path / "f.zip", print) == new
        assert new.stat().st_mtime_ns == before


async def test_what_another_worker_resolved_is_installed(tmp_path: Path) -> None:
    """Whatever this one would choose by itself, unless it was resolved for something else."""
    one, later = (wheel("one", version, {"one.py": ""}) for version in ("1.0", "2.0"))
    code = package(tmp_path, "one")
    async with environments(tmp_path / "there", EnvironmentSettings(repository=index(tmp_path / "old", one))) as there:
        lock = await there.check(code, "f.zip")
    assert lock is not None
    foreign = lock.replace(lock.split()[4], b"0123")

    async def versions(lock: bytes) -> list[str]:
        async def find() -> bytes:
            return lock

        path = await here.prepare(code, print, find)
        assert path is not None
        return [each.name for each in path.glob("one-*.dist-info")]

    settings = EnvironmentSettings(repository=index(tmp_path / "new", one, later))
    async with environments(tmp_path / "here", settings) as here:
        assert await versions(lock) == await versions(lock) == ["one-1.0.dist-info"]
        assert await versions(foreign) == await versions(b"") == ["one-2.0.dist-info"]
