"""Versions of Pulsar and of Java, as they are written in names and files."""

import os
import re
import shutil
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

Version = tuple[int, ...]
_NUMBERS = re.compile(r"\d+(?:\.\d+)*")
_JAVA_VERSION = re.compile(r'^JAVA_VERSION="([^"]+)"', re.MULTILINE)


def parse_version(text: str) -> Version:
    """Return the numbers of a version: `4.0.7` is (4, 0, 7), `5.0.0-M1` is (5, 0, 0); no numbers are an empty tuple."""
    found = _NUMBERS.match(text)
    return tuple(int(number) for number in found.group().split(".")) if found else ()


def show_version(version: Version) -> str:
    """Return the version as it is written."""
    return ".".join(map(str, version))


def find_java(environment: Mapping[str, str]) -> Path | None:
    """Return the `java` that instances with this environment get: Pulsar takes it from PATH and not from JAVA_HOME."""
    found = shutil.which("java", path=environment.get("PATH", os.defpath))
    return Path(found) if found else None


def java_release(java: Path) -> int | None:
    """Return the feature release of a Java (8, 11, 17 …), None where its directory does not tell.

    Every JDK since 8 has a file `release` at its top, so that no JVM must be started to learn this.
    """
    return _release(java.resolve())


@lru_cache(maxsize=8)
def _release(java: Path) -> int | None:
    for home in (java.parent.parent, java.parent.parent.parent):
        try:
            text = (home / "release").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        if found := _JAVA_VERSION.search(text):
            numbers = parse_version(found.group(1))
            return numbers[1] if numbers[:1] == (1,) and len(numbers) > 1 else next(iter(numbers), None)
    return None
