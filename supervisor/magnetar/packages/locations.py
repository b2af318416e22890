"""Where a package is kept, as Pulsar spells it, and which addresses may be read. Pure."""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit

from magnetar.errors import RefusedError
from magnetar.model.names import FunctionName

_PACKAGE = re.compile(r"(function|sink|source)://([^/@]+)/([^/@]+)/([^/@]+)(?:@([^/@]+))?")
_SLASHES = 3
_OWN_VERSION = re.compile(r"\d+-magnetar-[0-9a-f]{12}")


class Kind(StrEnum):
    """How a package is brought here."""

    PACKAGE = "package"
    HTTP = "http"
    FILE = "file"


def kind_of_location(location: str) -> Kind:
    """Return how to fetch a location. Raises RefusedError for one that can't be read here, with its kind's name."""
    if _PACKAGE.fullmatch(location):
        return Kind.PACKAGE
    if location.startswith(("http://", "https://")):
        return Kind.HTTP
    if location.startswith("file://"):
        return Kind.FILE
    if location.startswith("builtin://"):
        raise RefusedError(
            f"No Function archive {location.removeprefix('builtin://')!r} found: send the package instead"
        )
    if "://" in location or not location:
        raise RefusedError(f"the package {location!r} can't be read: write function://, http://, https:// or file://")
    raise RefusedError(
        f"the package {location!r} is kept in BookKeeper by Pulsar's worker, which Magnetar does not read: "
        "update the function with its package"
    )


def location_of_path(path: str) -> str:
    """Return the location that a path of an upload or download names.

    Pulsar keeps such files in BookKeeper under any path; here `tenant/namespace/name/version` is that package's version,
    and a URL is itself. Raises RefusedError.
    """
    if "://" in path:
        kind_of_location(path)
        return path
    location = "function://{}/{}/{}@{}".format(*path.split("/")) if path.count("/") == _SLASHES else ""
    if not _PACKAGE.fullmatch(location):
        raise RefusedError(f"the path {path!r} can't be used: write tenant/namespace/name/version")
    return location


def own_location(name: FunctionName, version: int, token: str) -> str:
    """Return the location for a package that this worker uploads; `token` is 12 random hex digits.

    Pulsar writes the bare version, which clashes with a deleted function's package and with a create at the same time.
    """
    return f"function://{name.fqfn}@{version}-magnetar-{token}"


def is_own(location: str) -> bool:
    """Whether a worker of ours uploaded it for one function alone: it goes with the function."""
    match = _PACKAGE.fullmatch(location)
    return bool(match and match[5] and _OWN_VERSION.fullmatch(match[5]))


def base_name(location: str) -> str:
    """Return the file name at the end of a URL; empty for a location of the packages API, which has none."""
    if _PACKAGE.fullmatch(location):
        return ""
    return unquote(urlsplit(location).path).rpartition("/")[2]


@dataclass(frozen=True)
class UrlPolicy:
    """Which http(s) and file URLs may be packages: none, unless a pattern or the functions' directory allows it.

    A pattern must match the whole URL, as in Pulsar 4.x.
    """

    patterns: tuple[str, ...] = ()
    directory: Path | None = None

    def check(self, url: str) -> None:
        """Raise RefusedError for a URL that is not allowed."""
        if ".." not in unquote(urlsplit(url).path).split("/"):
            if any(re.fullmatch(pattern, url) for pattern in self.patterns):
                return
            if (
                self.directory
                and url.startswith("file://")
                and local_path(url).is_relative_to(self.directory.resolve())
            ):
                return
        raise RefusedError(
            f"the package URL {url!r} is not allowed: add a pattern for it to additionalEnabledFunctionsUrlPatterns"
        )


def local_path(url: str) -> Path:
    """Return the path that a file URL names, its symbolic links followed. Raises RefusedError for another host's."""
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise RefusedError(f"the package URL {url!r} names another host's file: write file:///path")
    return Path(unquote(parts.path)).resolve()
