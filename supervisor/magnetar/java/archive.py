"""Class data archives: a JVM maps the classes that it would else read, check and link at every start (AppCDS)."""

import hashlib
from pathlib import Path

from magnetar.java.installation import JavaInstallation, class_path_files

OLDEST_RELEASE = 13
"""The first Java that can make an archive of what a program loaded."""


def archive_path(installation: JavaInstallation, java: Path, cache: Path) -> Path:
    """Return where the archive of an installation under a Java belongs: one for each set of jars and each Java."""
    digest = hashlib.sha256()
    for file in (java.resolve(), installation.jar, *class_path_files(installation.class_path)):
        facts = file.stat()
        digest.update(f"{file}:{facts.st_size}:{facts.st_mtime_ns}\n".encode())
    return cache / "archives" / f"{digest.hexdigest()[:32]}.jsa"


def find_archive(installation: JavaInstallation, java: Path, cache: Path) -> Path | None:
    """Return the archive, None where none was made: everything works without it, and starts take twice as long."""
    try:
        path = archive_path(installation, java, cache)
    except OSError:
        return None
    return path if path.is_file() else None
