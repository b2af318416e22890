"""Pulsar's packages: uploaded files with a description, by type, tenant, namespace, name and version."""

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

from magnetar_broker.errors import ExistsError, InvalidError, NotFoundError

KINDS = ("function", "source", "sink")


@dataclass(frozen=True)
class PackageName:
    """One version of a package."""

    kind: str
    tenant: str
    namespace: str
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.kind}://{self.tenant}/{self.namespace}/{self.name}@{self.version}"


class Packages:
    """The packages of one data directory, each version a directory of its own: complete or not there at all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def _folder(self, *parts: str) -> Path:
        if not all(parts) or any(part in {".", ".."} for part in parts):
            raise InvalidError("a package is named by type, tenant, namespace, name and version")
        if parts[0] not in KINDS:
            raise InvalidError(f"{parts[0]!r} is no type of package; there are {', '.join(KINDS)}")
        return self._directory.joinpath(*(quote(part, safe="") for part in parts))

    def _version(self, package: PackageName) -> Path:
        return self._folder(package.kind, package.tenant, package.namespace, package.name, package.version)

    def clean(self) -> None:
        """Delete what uploads left that a crash cut short."""
        shutil.rmtree(self._directory / "incoming", ignore_errors=True)

    def incoming(self) -> Path:
        """Return a fresh directory for an upload that `add` takes over."""
        folder = self._directory / "incoming" / os.urandom(8).hex()
        folder.mkdir(parents=True)
        return folder

    def add(self, package: PackageName, incoming: Path, metadata: dict[str, object]) -> None:
        """Take an uploaded `content` file over as a version. Raises ExistsError."""
        target = self._version(package)
        now = int(time.time() * 1000)
        described = {"description": "", "contact": "", "properties": {}, **metadata}
        described |= {"createTime": now, "modificationTime": now}
        (incoming / "metadata.json").write_text(json.dumps(described))
        for path in (incoming / "content", incoming / "metadata.json", incoming):
            _sync(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            shutil.rmtree(incoming)
            raise ExistsError(f"Package '{package}' already exists")
        incoming.rename(target)
        _sync(target.parent)

    def content(self, package: PackageName) -> Path:
        """Return the file of a version. Raises NotFoundError."""
        path = self._version(package) / "content"
        if not path.exists():
            raise NotFoundError(f"Package '{package}' does not exist")
        return path

    def metadata(self, package: PackageName) -> dict[str, object]:
        """Return the description of a version. Raises NotFoundError."""
        self.content(package)
        value: dict[str, object] = json.loads((self._version(package) / "metadata.json").read_text())
        return value

    def describe(self, package: PackageName, metadata: dict[str, object]) -> None:
        """Replace the description of a version."""
        changed = self.metadata(package) | metadata | {"modificationTime": int(time.time() * 1000)}
        fresh = self._version(package) / "metadata.json.new"
        fresh.write_text(json.dumps(changed))
        _sync(fresh)
        fresh.rename(self._version(package) / "metadata.json")

    def versions(self, kind: str, tenant: str, namespace: str, name: str) -> list[str]:
        """Return the versions of a package. Raises NotFoundError."""
        folder = self._folder(kind, tenant, namespace, name)
        if not folder.exists():
            raise NotFoundError(f"Package '{kind}://{tenant}/{namespace}/{name}' does not exist")
        return sorted(unquote(each.name) for each in folder.iterdir())

    def names(self, kind: str, tenant: str, namespace: str) -> list[str]:
        """Return the names of a namespace's packages."""
        folder = self._folder(kind, tenant, namespace)
        return sorted(unquote(each.name) for each in folder.iterdir()) if folder.exists() else []

    def delete(self, package: PackageName) -> None:
        """Delete a version. Raises NotFoundError."""
        self.content(package)
        shutil.rmtree(self._version(package))
        if not any(self._version(package).parent.iterdir()):
            self._version(package).parent.rmdir()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
