"""`magnetar java fetch`."""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated

from typer import Option

from magnetar.cli.output import Output, progress, warn
from magnetar.java.download import CENTRAL
from magnetar.java.fetch import Way
from magnetar.java.fetch import fetch as bring
from magnetar.java.installation import JavaInstallation, cache_directory, find_installation
from magnetar.java.lock import LOCKED, shipped_lock
from magnetar.java.version import find_java, show_version


def fetch(
    output: Output,
    *,
    version: Annotated[str, Option("--version", help="The version of Pulsar's Java instance.")] = LOCKED,
    way: Annotated[
        Way, Option("--with", help="Maven where it is installed (auto), Maven only, or the shipped lock file only.")
    ] = "auto",
    repository: Annotated[
        str, Option("--repository", envvar="MAGNETAR_MAVEN_REPOSITORY", help="A Maven repository, for the lock file.")
    ] = CENTRAL,
    cache: Annotated[
        Path | None, Option("--cache", envvar="MAGNETAR_CACHE", help="Where fetched artefacts are kept.")
    ] = None,
    jar: Annotated[
        Path | None,
        Option("--jar", help="Fetch nothing: prepare the Pulsar installation that this java-instance.jar is in."),
    ] = None,
    no_archive: Annotated[
        bool, Option("--no-archive", help="Make no class data archive, which halves the time of a start.")
    ] = False,
) -> None:
    """Fetch Pulsar's Java instance, so that Java functions run; a fetch that broke off goes on where it was."""
    import anyio  # noqa: PLC0415 - keeps help quick

    where = cache or cache_directory()
    if jar is not None:
        found = find_installation(jar, "", where)
    else:
        total = sum(artefact.size for artefact in shipped_lock())
        with progress(f"Pulsar {version}") as show:
            got = 0

            def count(more: int) -> None:
                nonlocal got
                got += more
                if show:
                    show(got, total)

            told = partial(_tell_maven, show=show is not None)
            found = anyio.run(partial(bring, version, where, way=way, repository=repository, progress=count, told=told))
    archive = None if no_archive else _archive(found, where)
    output.done(
        f"Java functions run with Pulsar {show_version(found.version)}: {found.jar}",
        version=show_version(found.version),
        jar=str(found.jar),
        classPath=found.class_path,
        archive=str(archive) if archive else None,
    )


def _tell_maven(line: str, *, show: bool) -> None:
    if show and line.startswith("Downloaded"):
        sys.stderr.write(f"{line}\n")


def _archive(found: JavaInstallation, cache: Path) -> Path | None:
    """Make the archive unless it is there; that it could not be made is no reason to fail."""
    from magnetar.java.archive import find_archive  # noqa: PLC0415 - keeps help quick
    from magnetar.runtimes.process.java_archive import ArchiveError, make_archive  # noqa: PLC0415

    java = find_java(os.environ)
    if java is None:
        warn("there is no `java` in PATH: Java functions need one, and the class data archive is made with it")
        return None
    try:
        return find_archive(found, java, cache) or make_archive(found, java, cache)
    except ArchiveError as error:
        warn(f"no class data archive could be made, and Java functions start slower: {error}")
        return None
