"""The code of functions: kept by the broker's packages API, fetched to this host once, wherever it comes from."""

import contextlib
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

import anyio
import anyio.to_thread
from magnetar_instance.proto.function import PackageLocationMetaData

from magnetar.broker_admin import BrokerAdmin, PackageMetadata
from magnetar.errors import BrokerRefusedError, NotReadyError, RefusedError
from magnetar.model.names import FunctionName
from magnetar.packages.cache import PackageCache, digest_of
from magnetar.packages.downloads import download
from magnetar.packages.fleet_locks import lock_location, may_have_lock
from magnetar.packages.locations import Kind, UrlPolicy, base_name, is_own, kind_of_location, local_path, own_location

_CONFLICT = 409
_GONE = 404
_LOCK = "lock.txt"


class PackageStore:
    """Uploads, fetches and deletes packages; each is downloaded to this host once, however many ask at a time."""

    def __init__(self, admin: BrokerAdmin, cache_dir: Path, policy: UrlPolicy | None = None) -> None:
        self._admin = admin
        self._cache = PackageCache(cache_dir)
        self._policy = policy or UrlPolicy()
        self._fetching: dict[str, anyio.Lock] = {}
        self._held = Counter[str]()
        self._deleted: set[str] = set()

    def incoming(self) -> Path:
        """Return a path for a file that is being received; whoever asks removes it."""
        return self._cache.incoming()

    async def upload(self, name: FunctionName, version: int, file: Path, original_name: str) -> PackageLocationMetaData:
        """Store a file as a function's package and return where it is.

        Raises BrokerRefusedError or NotReadyError; then nothing is left behind.
        """
        location = own_location(name, version, secrets.token_hex(6))
        digest = await anyio.to_thread.run_sync(digest_of, file)
        metadata = PackageMetadata(
            f"the package of the function {name.fqfn}", "magnetar", {"fileName": original_name, "sha256": digest}
        )
        await self._admin.upload_package(location, file, metadata)
        await anyio.to_thread.run_sync(self._cache.add, location, original_name, file)
        return PackageLocationMetaData(packagePath=location, originalFileName=original_name)

    async def put(self, location: str, file: Path, original_name: str) -> None:
        """Store a file at a location of the packages API, in place of what is there.

        Raises RefusedError for another kind of location, else as `upload`.
        """
        if kind_of_location(location) is not Kind.PACKAGE:
            raise RefusedError(f"nothing can be stored at {location!r}: write function://tenant/namespace/name@version")
        metadata = PackageMetadata(properties={"fileName": original_name})
        try:
            await self._admin.upload_package(location, file, metadata)
        except BrokerRefusedError as error:
            if error.status != _CONFLICT:
                raise
            await self._admin.delete_package(location)
            await self._admin.upload_package(location, file, metadata)

    async def fetch(self, location: PackageLocationMetaData) -> Path:
        """Return a package as a file of this host, named as it was uploaded.

        Raises RefusedError for a location that can't be read here, NotReadyError or BrokerRefusedError for now.
        """
        path = location.packagePath
        kind = kind_of_location(path)
        name = location.originalFileName or base_name(path) or "package"
        async with self._one_at_a_time(path):
            if kind is Kind.PACKAGE:
                return await self._from_broker(path, name, never_changes=is_own(path))
            return await self._from_url(kind, path, name)

    async def delete(self, name: FunctionName, location: PackageLocationMetaData) -> None:
        """Delete a package that `upload` stored, and its lock; other packages are only forgotten here."""
        path = location.packagePath
        self._deleted.add(path)
        await self._forget_deleted()
        if is_own(path):
            await self._admin.delete_package(path)
        if may_have_lock(location):
            await self._delete_lock(lock_location(name, location))

    async def keep_lock(self, name: FunctionName, location: PackageLocationMetaData, lock: bytes) -> None:
        """Keep what a function's package was resolved to, in place of what is there.

        Raises BrokerRefusedError or NotReadyError.
        """
        async with self._receiving() as file:
            await anyio.to_thread.run_sync(file.write_bytes, lock)
            await self.put(lock_location(name, location), file, _LOCK)

    async def lock(self, name: FunctionName, location: PackageLocationMetaData) -> bytes | None:
        """Return what `keep_lock` kept for a function's package; None where there is nothing, or no broker to ask for it."""
        if not may_have_lock(location):
            return None
        place = lock_location(name, location)
        try:
            async with self._one_at_a_time(place):
                file = await self._from_broker(place, _LOCK, never_changes=is_own(location.packagePath))
        except (BrokerRefusedError, NotReadyError):
            return None
        return await anyio.to_thread.run_sync(file.read_bytes)

    async def _delete_lock(self, place: str) -> None:
        await anyio.to_thread.run_sync(self._cache.forget, place)
        try:
            await self._admin.delete_package(place)
        except BrokerRefusedError as error:
            if error.status != _GONE:
                raise

    async def sweep(self, in_use: Collection[str]) -> None:
        """Remove from this host what was fetched from locations that no function has any more."""
        await self._forget_deleted()
        await anyio.to_thread.run_sync(self._cache.sweep, (*in_use, *self._held))

    async def _forget_deleted(self) -> None:
        """Remove from this host what was deleted and is held no more."""
        forgotten = {path for path in self._deleted if path not in self._held}
        self._deleted -= forgotten
        for path in forgotten:
            await anyio.to_thread.run_sync(self._cache.forget, path)

    def hold(self, location: PackageLocationMetaData) -> Callable[[], None]:
        """Keep a package on this host, deleted or not, for a version that may have to run again; returns what ends that.

        A deleted one goes with the next deletion, or sweep.
        """
        path = location.packagePath
        self._held[path] += 1

        def let_go() -> None:
            self._held[path] -= 1
            if not self._held[path]:
                del self._held[path]

        return let_go

    @contextlib.asynccontextmanager
    async def _one_at_a_time(self, location: str) -> AsyncIterator[None]:
        lock = self._fetching.setdefault(location, anyio.Lock())
        try:
            async with lock:
                yield
        finally:
            if not lock.statistics().tasks_waiting and not lock.locked():
                self._fetching.pop(location, None)

    async def _from_broker(self, location: str, name: str, *, never_changes: bool) -> Path:
        """Take it from the cache when its content can't have changed: what others uploaded may be replaced at its place."""
        found = await anyio.to_thread.run_sync(self._cache.find, location, name) if never_changes else None
        if found is not None:
            return found
        async with self._receiving() as target:
            await self._admin.download_package(location, target)
            return await anyio.to_thread.run_sync(self._cache.add, location, name, target)

    async def _from_url(self, kind: Kind, url: str, name: str) -> Path:
        self._policy.check(url)
        if kind is Kind.FILE:
            return await anyio.to_thread.run_sync(self._copy, url, name)
        async with self._receiving() as target:
            await download(url, target, self._policy)
            return await anyio.to_thread.run_sync(self._cache.add, url, name, target)

    def _copy(self, url: str, name: str) -> Path:
        try:
            return self._cache.add(url, name, local_path(url))
        except (FileNotFoundError, IsADirectoryError):
            raise RefusedError(f"the package {url!r} is no file on this host") from None
        except OSError as error:
            raise NotReadyError(f"the package {url!r} can't be read: {error.strerror}") from None

    @contextlib.asynccontextmanager
    async def _receiving(self) -> AsyncIterator[Path]:
        target = self._cache.incoming()
        try:
            yield target
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(lambda: target.unlink(missing_ok=True))
