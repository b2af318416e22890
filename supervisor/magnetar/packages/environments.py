"""What Python functions depend on: one environment for each set of locked requirements, made by uv and kept.

    locks/<digest of what was asked>.txt     what the resolver chose, with hashes
    installed/<digest of the lock>/          the packages, for PYTHONPATH; whole or not there; `.used` beside each
    cache/                                   uv's own

Python versions, platforms and indexes are part of what is asked. One worker uses the directory.
"""

import contextlib
import hashlib
import platform
import secrets
import shutil
import sys
import sysconfig
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread
from magnetar_instance.proto.function import FunctionDetails, FunctionMetaData
from magnetar_instance.requirements import Requirements, RequirementsError, requirements_of
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from magnetar.errors import NotReadyError, RefusedError
from magnetar.packages.fleet_locks import FleetLock
from magnetar.packages.installer import Installer, InstallerError, own_constraints

_UNUSED = 30 * 24 * 3600.0
"""Seconds after which an environment that nothing was started with is removed, at the next start of a worker."""
_SHORT = 32
_LOCK = "lock.txt"
_USED = ".used"
"""What ends the name of an empty file beside an environment, as old as its last use; a zygote looks at its own times."""


@dataclass(frozen=True)
class EnvironmentSettings:
    """Whether indexes are asked, which ones, whether packages may be built from source, and seconds for both steps."""

    install: bool = True
    repository: str = ""
    extra_repository: str = ""
    build_from_source: bool = False
    resolve_timeout: float = 60.0
    install_timeout: float = 600.0

    def indexes(self, *, offline: bool) -> list[str]:
        """Return uv's options that say where packages come from; offline, from the package's own wheels alone."""
        build = [] if self.build_from_source else ["--no-build"]
        if offline:
            return [*build, "--no-index"]
        first = ["--default-index", self.repository] if self.repository else []
        return [*build, *first, *(["--index", self.extra_repository] if self.extra_repository else [])]


@dataclass(frozen=True)
class _Lock:
    """What was resolved: the file with it, and whether the package's own wheels were enough."""

    file: Path
    offline: bool

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.file.read_bytes() + f"{_python()} {sys.prefix}".encode()).hexdigest()[:_SHORT]


FindLock = Callable[[FunctionMetaData], Awaitable[bytes | None]]
"""Returns the lock that was kept with a function's package, if there is one."""


async def no_lock(_: FunctionMetaData) -> None:
    """Stand for a worker without others."""


class Environments:
    """Resolves and installs what packages ask for; each set is resolved and installed once, however many ask at a time."""

    def __init__(
        self, directory: Path, installer: Installer, settings: EnvironmentSettings, find_lock: FindLock = no_lock
    ) -> None:
        self._locks = directory / "locks"
        self._installed = directory / "installed"
        self._work = directory / "work"
        self._installer = installer
        self._settings = settings
        self._find_lock = find_lock
        self._busy: dict[str, anyio.Lock] = {}

    async def check(self, code: Path, name: str) -> bytes | None:
        """Resolve what a package named `name` asks for, without installing it; returns what workers are to install.

        None when it asks for nothing. Raises RefusedError with the resolver's words, NotReadyError when an index does not
        answer in time.
        """
        wanted = await anyio.to_thread.run_sync(_asked, code, name)
        if wanted is None:
            return None
        lock = await self._resolved(code, name, wanted)
        return await anyio.to_thread.run_sync(
            lambda: FleetLock(lock.file.read_bytes(), _key(code, wanted), lock.offline).text
        )

    async def for_function(
        self, function: FunctionMetaData, code: Path, installing: Callable[[str], None]
    ) -> Path | None:
        """Return what `prepare` does for a Python function, by the lock of its fleet; None for any other."""
        if function.functionDetails.runtime != FunctionDetails.PYTHON:
            return None
        return await self.prepare(code, installing, lambda: self._find_lock(function))

    async def prepare(
        self,
        code: Path,
        installing: Callable[[str], None],
        find_lock: Callable[[], Awaitable[bytes | None]] | None = None,
    ) -> Path | None:
        """Return the directory with what a package asks for, installed first if need be; None when it asks for nothing.

        `installing` is told what is about to be installed, `find_lock` asked for what `check` returned at create: by that
        it is installed, unless this host has another Python or platform. Raises as `check`.
        """
        wanted = await anyio.to_thread.run_sync(_asked, code, code.name)
        if wanted is None:
            return None
        given = FleetLock.read(await find_lock() or b"") if find_lock else None
        lock = await anyio.to_thread.run_sync(self._given, code, wanted, given) if given else None
        lock = lock or await self._resolved(code, code.name, wanted)
        target = self._installed / await anyio.to_thread.run_sync(lambda: lock.digest)
        async with self._one_at_a_time(target.name):
            if not target.is_dir():
                installing(f"installing what {code.name} asks for in {wanted.origin}")
                await self._install(code, wanted, lock, target)
        _note_of_use(target).touch()
        return target

    def touch(self, in_use: Collection[Path]) -> None:
        """Note that environments are in use. Blocking."""
        for target in in_use:
            if target.parent == self._installed and target.is_dir():
                _note_of_use(target).touch()

    def sweep(self, in_use: Collection[Path] = ()) -> None:
        """Remove what has not been used for long, and what a worker that was killed left half done. Blocking.

        `in_use` are environments of instances that outlived the worker before this one.
        """
        self.touch(in_use)
        shutil.rmtree(self._work, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            for note in list(self._installed.glob(f"*{_USED}")):
                if time.time() - note.stat().st_mtime > _UNUSED:
                    shutil.rmtree(note.with_suffix(""), ignore_errors=True)
                    note.unlink()

    async def _resolved(self, code: Path, name: str, wanted: Requirements) -> _Lock:
        indexes = self._settings.indexes(offline=not self._settings.install)
        key = await anyio.to_thread.run_sync(lambda: _key(code, wanted, indexes))
        async with self._one_at_a_time(key):
            return self._known(key) or await self._resolve(code, name, wanted, key)

    def _given(self, code: Path, wanted: Requirements, given: FleetLock) -> _Lock | None:
        """Lay down a lock that another worker may have made; None where it was made for something else. Blocking."""
        if given.key != _key(code, wanted):
            return None
        content = hashlib.sha256(given.content).hexdigest()[:_SHORT]
        lock = _Lock(self._lock_file(content, offline=given.offline), given.offline)
        if not lock.file.is_file():
            self._locks.mkdir(parents=True, exist_ok=True)
            incoming = self._locks / f"{content}.{secrets.token_hex(4)}"
            incoming.write_bytes(given.content)
            incoming.rename(lock.file)
        return lock

    def _known(self, key: str) -> _Lock | None:
        for offline in (True, False):
            if (file := self._lock_file(key, offline=offline)).is_file():
                return _Lock(file, offline)
        return None

    def _lock_file(self, key: str, *, offline: bool) -> Path:
        return self._locks / f"{key}.{'offline' if offline else 'indexed'}.txt"

    async def _resolve(self, code: Path, name: str, wanted: Requirements, key: str) -> _Lock:
        """Resolve from the package's own wheels, and where they are not enough with the indexes."""
        install = self._settings.install
        async with self._unpacked(code, wanted) as folder:
            if wanted.wheels and install:
                with contextlib.suppress(InstallerError):
                    return await self._compiled(folder, name, _Lock(self._lock_file(key, offline=True), offline=True))
            try:
                lock = _Lock(self._lock_file(key, offline=not install), offline=not install)
                return await self._compiled(folder, name, lock)
            except InstallerError as error:
                raise self._refusal(name, wanted, error) from None

    async def _compiled(self, folder: Path, name: str, lock: _Lock) -> _Lock:
        (folder / "constraints.txt").write_text(own_constraints(), encoding="utf-8")
        options = ["--no-header", "--no-annotate", "--generate-hashes", "--constraint", "constraints.txt"]
        options += [*self._sources(folder, lock), "--output-file", _LOCK, "requirements.txt"]
        with _within(self._settings.resolve_timeout, f"what {name} asks for could not be resolved"):
            await self._installer.run(["pip", "compile", *options], folder)
        self._locks.mkdir(parents=True, exist_ok=True)
        (folder / _LOCK).rename(lock.file)
        return lock

    async def _install(self, code: Path, wanted: Requirements, lock: _Lock, target: Path) -> None:
        self._installed.mkdir(parents=True, exist_ok=True)
        async with self._unpacked(code, wanted) as folder:
            options = ["--target", "made", "--no-deps", "--require-hashes", "--compile-bytecode"]
            options += [*self._sources(folder, lock), "--requirement", _LOCK]
            (folder / _LOCK).write_bytes(lock.file.read_bytes())
            (folder / "made").mkdir()
            try:
                with _within(self._settings.install_timeout, f"what {code.name} asks for could not be installed"):
                    await self._installer.run(["pip", "install", *options], folder)
            except InstallerError as error:
                raise self._refusal(code.name, wanted, error) from None
            (folder / "made").rename(target)

    def _sources(self, folder: Path, lock: _Lock) -> list[str]:
        found = ["--find-links", "deps"] if (folder / "deps").is_dir() else []
        return [*self._settings.indexes(offline=lock.offline), *found]

    def _refusal(self, name: str, wanted: Requirements, error: InstallerError) -> Exception:
        said = f"{name}: what it asks for in {wanted.origin} can't be had: {error}"
        if error.is_unreachable:
            return NotReadyError(said)
        if not self._settings.install:
            said += " (installUserCodeDependencies is false, so only wheels in deps count)"
        return RefusedError(said)

    @contextlib.asynccontextmanager
    async def _unpacked(self, code: Path, wanted: Requirements) -> AsyncIterator[Path]:
        folder = (self._work / secrets.token_hex(8)).absolute()
        folder.mkdir(parents=True)
        try:
            await anyio.to_thread.run_sync(wanted.write, code, folder)
            yield folder
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(lambda: shutil.rmtree(folder, ignore_errors=True))

    @contextlib.asynccontextmanager
    async def _one_at_a_time(self, key: str) -> AsyncIterator[None]:
        lock = self._busy.setdefault(key, anyio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.statistics().tasks_waiting and not lock.locked():
                self._busy.pop(key, None)


def _key(code: Path, wanted: Requirements, *indexes: object) -> str:
    """Return the digest of what is asked for, by which Python and on which platform, and of which indexes. Blocking."""
    asked = hashlib.sha256(repr((wanted, own_constraints(), _python(), *indexes)).encode())
    if wanted.wheels:
        with zipfile.ZipFile(code) as archive:
            asked.update(repr([archive.getinfo(each).CRC for each in wanted.wheels]).encode())
    return asked.hexdigest()[:_SHORT]


def _asked(code: Path, name: str) -> Requirements | None:
    """Return what a package asks for; None when that is nothing. Raises as `_read`."""
    wanted = _read(code, name)
    return wanted if wanted is not None and wanted.lines.strip() else None


def _read(code: Path, name: str) -> Requirements | None:
    """Return what a package asks for. Raises RefusedError, also for another version of Python than this one."""
    try:
        wanted = requirements_of(code, name)
        if wanted is not None and not SpecifierSet(wanted.python).contains(platform.python_version(), prereleases=True):
            raise RefusedError(
                f"{name} asks for Python {wanted.python} in {wanted.origin}, functions run with {platform.python_version()} "
                "here: start the worker with another Python"
            )
    except RequirementsError as error:
        raise RefusedError(f"{name}: {error}") from None
    except InvalidSpecifier as error:
        raise RefusedError(f"{name}: requires-python: {error}") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise RefusedError(f"{name} can't be read: {error}") from None
    return wanted


@contextlib.contextmanager
def _within(seconds: float, what: str) -> Iterator[None]:
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError:
        raise NotReadyError(f"{what} within {seconds:g} s: try again, or raise the time-out") from None


def _note_of_use(target: Path) -> Path:
    return target.with_suffix(_USED)


def _python() -> str:
    return f"{sys.implementation.cache_tag} {sysconfig.get_platform()}"


def asks_for_others(code: Path, name: str) -> bool:
    """Tell whether a package asks for others. Blocking; raises RefusedError when that can't be read."""
    return _asked(code, name) is not None


def refused_in_threads(code: Path, name: str) -> None:
    """Refuse a package that asks for others: all functions of the thread runtime share one set of them."""
    wanted = _asked(code, name)
    if wanted is not None:
        asked = f"{name} asks for {wanted.lines.split()[0]!r} in {wanted.origin}"
        raise RefusedError(f"{asked}, which threads would share: use the process runtime")
