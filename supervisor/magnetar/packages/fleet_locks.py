"""What a package's dependencies were resolved to, kept beside the package: every worker installs the same. Pure.

A lock is a text in the form of requirements.txt, with hashes, below one line of ours that says what it holds for.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Self

from magnetar_instance.proto.function import PackageLocationMetaData

from magnetar.model.names import FunctionName
from magnetar.packages.locations import is_own

_FIRST = re.compile(rb"# magnetar lock: (offline|indexed) ([0-9a-f]+)\n")
_MAY_ASK = (".py", ".zip", ".whl")
_SHORT = 16


@dataclass(frozen=True)
class FleetLock:
    """A resolution: for what was asked by whom (`key`), and whether the package's own wheels were enough."""

    content: bytes
    key: str
    offline: bool

    @classmethod
    def read(cls, text: bytes) -> Self | None:
        """Return the lock of a text; None for one of another kind."""
        match = _FIRST.match(text)
        return cls(text[match.end() :], match[2].decode(), match[1] == b"offline") if match else None

    @property
    def text(self) -> bytes:
        """The text that `read` reads."""
        return (
            b"# magnetar lock: %s %s\n" % (b"offline" if self.offline else b"indexed", self.key.encode()) + self.content
        )


def lock_location(name: FunctionName, package: PackageLocationMetaData) -> str:
    """Return where the packages API keeps the lock of a function's package, wherever that itself is kept."""
    if is_own(package.packagePath):
        return f"{package.packagePath}-lock"
    return f"function://{name.fqfn}@lock-{hashlib.sha256(package.packagePath.encode()).hexdigest()[:_SHORT]}"


def may_have_lock(package: PackageLocationMetaData) -> bool:
    """Tell whether a package is of a kind that can ask for others."""
    return PurePosixPath(package.originalFileName).suffix in _MAY_ASK
