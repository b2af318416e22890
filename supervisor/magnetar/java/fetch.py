"""`magnetar java fetch`: brings Pulsar's Java instance into the cache."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import anyio.to_thread

from magnetar.errors import BrokenDownloadError, RefusedError
from magnetar.java import maven
from magnetar.java.download import Progress, download, is_whole
from magnetar.java.installation import INSTANCE_JAR, JavaInstallation, read_fetched
from magnetar.java.lock import INSTANCE_ARTIFACT, LOCKED, shipped_lock

Way = Literal["auto", "maven", "lock"]


async def fetch(
    version: str, cache: Path, *, way: Way, repository: str, progress: Progress, told: Callable[[str], None]
) -> JavaInstallation:
    """Fetch a version unless it is there; returns where it is.

    `way` auto is Maven where it is installed, else the shipped lock file, which is of one version. Raises RefusedError for
    what can't be fetched in this way and BrokenDownloadError for what broke off; then the next call goes on.
    """
    folder = cache / "java" / version
    if (there := read_fetched(folder)) is not None:
        return there
    program = maven.find_maven() if way != "lock" else None
    if program:
        await anyio.to_thread.run_sync(maven.resolve, program, version, folder / "lib", told)
    elif way == "maven":
        raise RefusedError("Maven is not installed: there is no `mvn` in PATH; install it, or leave --with out")
    elif version != LOCKED:
        raise RefusedError(
            f"without Maven only Pulsar {LOCKED} can be fetched, because its checksums are known; "
            f"install Maven for {version}, or leave --version out"
        )
    else:
        await download(shipped_lock(), folder / "lib", repository, progress)
    await _finish(version, folder)
    found = read_fetched(folder)
    assert found is not None, "what was just completed can be read"
    return found


async def _finish(version: str, folder: Path) -> None:
    """Verify what is locked, put the instance jar where it is looked for, and mark the folder as complete."""
    lib = folder / "lib"
    if version == LOCKED:
        for artefact in shipped_lock():
            if not await is_whole(lib / artefact.file_name, artefact):
                raise BrokenDownloadError(f"{lib / artefact.file_name} is missing or not what the lock file says")
    (jar,) = lib.glob(f"{INSTANCE_ARTIFACT}-*.jar")
    # Not among the libraries: its classes are those that the function and the instance share.
    shutil.copyfile(jar, folder / INSTANCE_JAR)
    jar.unlink()
    (folder / "complete").touch()
