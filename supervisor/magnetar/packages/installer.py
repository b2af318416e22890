"""uv, run as a child of the launcher: the worker itself never forks."""

import importlib.metadata
import os
import secrets
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import anyio
import anyio.to_thread

from magnetar.errors import NotReadyError, RefusedError
from magnetar.processes.channel import LauncherGoneError, Spawn, SpawnError
from magnetar.processes.child import Child

_MOST = 4000
"""Characters of what the installer says that are told."""
_GRACE = 2.0
_UNREACHABLE = ("Failed to fetch", "error sending request", "Request failed", "operation timed out")


class InstallerError(Exception):
    """Raised when uv fails; the message is what it said, as one line."""

    @property
    def is_unreachable(self) -> bool:
        """Whether an index did not answer, so that a later attempt may succeed."""
        return any(mark in str(self) for mark in _UNREACHABLE)


class Installer:
    """Runs uv with a cache of its own; `environ` is what it inherits: proxies, credentials, certificates."""

    def __init__(
        self, cache_directory: Path, spawn: Callable[[Spawn], Awaitable[Child]], environ: Mapping[str, str]
    ) -> None:
        self._cache = cache_directory.absolute()
        self._spawn = spawn
        self._environ = environ

    async def run(self, arguments: Sequence[str], directory: Path) -> None:
        """Run uv in a directory, for the Python that instances run with; cancelled, it is ended.

        Raises InstallerError, RefusedError where there is no uv, NotReadyError where nothing can be started now.
        """
        output = directory / f"{secrets.token_hex(4)}.out"
        options = ["--python", sys.executable, "--cache-dir", str(self._cache), "--quiet"]
        program, verbs = self._program(), [*arguments[:2]]
        wanted = Spawn(
            [program, *verbs, *options, *arguments[2:]], self._environment(), cwd=str(directory), output=str(output)
        )
        try:
            child = await self._spawn(wanted)
        except (OSError, SpawnError, LauncherGoneError) as problem:
            raise NotReadyError(f"uv could not be started: {problem}") from None
        try:
            status = await child.wait()
        finally:
            with anyio.CancelScope(shield=True):
                await child.stop(_GRACE)
        if status.code != 0:
            raise InstallerError(await anyio.to_thread.run_sync(_said, output) or f"uv ended with {status}")

    def _program(self) -> str:
        """Return uv: the one that is installed beside Magnetar, else the one in PATH."""
        beside = str(Path(sys.executable).parent)
        found = shutil.which("uv", path=os.pathsep.join([beside, self._environ.get("PATH", os.defpath)]))
        if found is None:
            raise RefusedError(
                "packages that ask for others need uv, which is neither in PATH nor installed beside Magnetar: "
                "pip install 'magnetar[environments]'"
            )
        return found

    def _environment(self) -> dict[str, str]:
        mine = {"NO_COLOR": "1", "UV_NO_PROGRESS": "1", "UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"}
        return {**{name: value for name, value in self._environ.items() if name != "VIRTUAL_ENV"}, **mine}


def _said(output: Path) -> str:
    """Return uv's words as one line, without its ornaments."""
    words = "".join(each if each.isascii() or each.isalpha() else " " for each in output.read_text(errors="replace"))
    return " ".join(words.split())[:_MOST]


@cache
def own_constraints() -> str:
    """Return what the instance itself needs: a function's own versions of it have to be ones that it runs with."""
    return "".join(f"{each}\n" for each in importlib.metadata.requires("magnetar-instance") or ())
