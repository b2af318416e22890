"""Looks at the processes of a data directory, and ends those that nobody keeps when that is asked for."""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from magnetar.cli.doctor.findings import Finding, Verdict
from magnetar.processes.identity import Identity
from magnetar.processes.strays import Belonging, end_processes, take_inventory

_REMEDY = "magnetar doctor --end-strays ends them, with the same --conf or --data-dir"


def look_at_strays(directory: Path, *, end: bool) -> Iterator[Finding]:
    """Tell what is left of workers of a directory; with `end`, end it. What a running worker has is never touched."""
    inventory = take_inventory(directory)
    if inventory.guardian is not None:
        detail = f"{len(inventory.kept)} processes are kept by process {inventory.guardian.pid} for the next worker"
        if not end:
            yield Finding("survivors", Verdict.NOTE, f"{detail}: {_told(inventory.kept)}", _REMEDY)
        else:
            with suppress(ProcessLookupError):
                os.kill(inventory.guardian.pid, signal.SIGTERM)
            kept = [each.identity for each in inventory.kept]
            yield _ended("survivors", inventory.kept, [*kept, inventory.guardian])
    if not inventory.strays:
        yield Finding("strays", Verdict.OK, f"none of {directory}")
    elif not end:
        yield Finding("strays", Verdict.WARNING, _told(inventory.strays), _REMEDY)
    else:
        yield _ended("strays", inventory.strays, [each.identity for each in inventory.strays])


def _ended(what: str, found: tuple[Belonging, ...], identities: list[Identity]) -> Finding:
    left = end_processes(identities)
    if left:
        pids = ", ".join(str(each.pid) for each in left)
        return Finding(what, Verdict.FAILURE, f"can't be ended: {pids}", "end them as the user who owns them")
    return Finding(what, Verdict.OK, f"ended: {_told(found)}")


def _told(found: tuple[Belonging, ...]) -> str:
    return ", ".join(f"{each.identity.pid} ({each.name})" for each in found)
