"""Where Pulsar's Java instance is on this host, and of which version."""

import os
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from magnetar.errors import RefusedError
from magnetar.java.version import Version, parse_version

FETCH = "run `magnetar java fetch`, or set javaInstanceJarLocation to the java-instance.jar of a Pulsar installation"
INSTANCE_JAR = "java-instance.jar"
_RUNTIME_JAR = re.compile(r"(?:org\.apache\.pulsar-)?pulsar-functions-runtime-(\d[^/]*)\.jar")
_API_VERSION = "META-INF/maven/org.apache.pulsar/pulsar-functions-api/pom.properties"
_OWN_LOG_CONFIG = Path(__file__).parent / "log4j2.xml"


@dataclass(frozen=True)
class JavaInstallation:
    """Pulsar's Java instance: the jar that is started, the class path of what it loads, its log4j file.

    `class_path` is Java's: entries separated by colons, `*` for all jars of a directory.
    """

    jar: Path
    class_path: str
    version: Version
    log_config: Path = _OWN_LOG_CONFIG


def cache_directory() -> Path:
    """Return where fetched artefacts are kept: `MAGNETAR_CACHE`, else `magnetar` in the user's cache directory."""
    if own := os.environ.get("MAGNETAR_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "magnetar"


def find_installation(jar: Path | None, class_path: str, cache: Path) -> JavaInstallation:
    """Return the installation that the worker's config names, else the newest that was fetched.

    `jar` is `javaInstanceJarLocation`, `class_path` is `functionInstanceClassPath`: without it the installation's own
    `conf` and `lib` are taken. Raises RefusedError with what to do when there is none.
    """
    if jar is not None:
        return _configured(jar, class_path)
    fetched = [found for folder in sorted(cache.glob("java/*")) if (found := read_fetched(folder)) is not None]
    if not fetched:
        raise RefusedError(f"Java functions need Pulsar's Java instance, which is not on this host: {FETCH}")
    newest = max(fetched, key=lambda each: each.version)
    return newest if not class_path else JavaInstallation(newest.jar, class_path, newest.version)


def read_fetched(folder: Path) -> JavaInstallation | None:
    """Return what was fetched into a folder, None when that was not finished."""
    jar, lib = folder / INSTANCE_JAR, folder / "lib"
    if not (folder / "complete").is_file() or not jar.is_file():
        return None
    return JavaInstallation(jar, str(lib / "*"), _version([lib]) or parse_version(folder.name))


def _configured(jar: Path, class_path: str) -> JavaInstallation:
    if not jar.is_file():
        raise RefusedError(f"javaInstanceJarLocation: {jar} does not exist; {FETCH}")
    home = jar.resolve().parent.parent
    lib = home / "lib"
    if not class_path:
        if not lib.is_dir():
            raise RefusedError(
                f"javaInstanceJarLocation: {jar} is not in a Pulsar installation (there is no {lib}): "
                "set functionInstanceClassPath to the jars that it needs"
            )
        class_path = f"{home / 'conf'}:{lib}/*"
    version = _version(_folders(class_path)) or _version_inside(jar)
    if not version:
        raise RefusedError(
            f"javaInstanceJarLocation: no pulsar-functions-runtime jar is in {class_path}: it can't start an instance"
        )
    config = home / "conf" / "functions_log4j2.xml"
    return JavaInstallation(jar, class_path, version, config if config.is_file() else _OWN_LOG_CONFIG)


def class_path_files(class_path: str) -> list[Path]:
    """Return the jars that a class path names, wildcards replaced, in its order."""
    files: list[Path] = []
    for entry in filter(None, class_path.split(":")):
        path = Path(entry)
        files += sorted(path.parent.glob("*.jar")) if path.name == "*" else [path] if path.is_file() else []
    return files


def _folders(class_path: str) -> list[Path]:
    return [path.parent for entry in filter(None, class_path.split(":")) if (path := Path(entry)).suffix or path.name]


def _version(folders: list[Path]) -> Version:
    names = (path.name for folder in dict.fromkeys(folders) for path in folder.glob("*pulsar-functions-runtime-*.jar"))
    found = [parse_version(match.group(1)) for name in names if (match := _RUNTIME_JAR.fullmatch(name))]
    return max(found, default=())


def _version_inside(jar: Path) -> Version:
    """Return the version of the functions API inside the instance jar."""
    try:
        with zipfile.ZipFile(jar) as archive:
            text = archive.read(_API_VERSION).decode()
    except (OSError, KeyError, zipfile.BadZipFile):
        return ()
    found = re.search(r"^version=(.+)$", text, re.MULTILINE)
    return parse_version(found.group(1)) if found else ()
