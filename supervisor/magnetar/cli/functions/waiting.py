"""Waiting until a function runs, for scripts that go on with it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from typer import Option

from magnetar.cli.connection import Connection, ask
from magnetar.cli.functions.reports import reports_of
from magnetar.errors import RequestError, TimedOutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from magnetar.client import WorkerClient
    from magnetar.client.results import InstanceReport
    from magnetar.model.names import FunctionName

_PATIENCE = 60.0
_SHORTEST, _LONGEST = 0.05, 1.0
_FAILED, _LOOPING = "failed", "crash-looping"


@dataclass(frozen=True)
class Waiting:
    """Whether a command returns once the function runs."""

    wait: Annotated[bool | None, Option("--wait", help="Return once all instances run, or fail with the reason.")] = (
        None
    )
    wait_timeout: Annotated[float | None, Option("--wait-timeout", min=0, help="Seconds to wait at most [60].")] = None

    def until_running(self, connection: Connection, name: "FunctionName", instance: int | None = None) -> None:
        """Wait for one instance or all, if that was asked for. Raises RequestError, also TimedOutError."""
        if self.wait or self.wait_timeout is not None:
            patience = _PATIENCE if self.wait_timeout is None else self.wait_timeout
            with _told() as tell:
                ask(connection, lambda worker: until_running(worker, name, instance, patience, tell))


async def until_running(
    worker: "WorkerClient",
    name: "FunctionName",
    instance: int | None,
    patience: float,
    tell: "Callable[[str], None]",
) -> None:
    """Wait for one instance or all; `tell` is called with what is waited for. Raises RequestError, also TimedOutError."""
    import anyio  # noqa: PLC0415 - keeps help quick

    pause, why, loops = _SHORTEST, "no instance was started", None
    with anyio.move_on_after(patience):
        while True:
            found = (await worker.functions.status(name)).instances
            wanted = [each.status.running for each in found if instance in (None, each.instance_id)]
            if wanted and all(wanted):
                return
            reports = await reports_of(worker, name)
            loops = _loops(reports) if loops is None else loops
            why = _why(reports, loops) or why
            tell(f"{sum(wanted)} of {len(wanted)} instances of {name.fqfn} run")
            await anyio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST)
    raise TimedOutError(
        f"{name.fqfn} does not run after {patience:g} s: {why}; see magnetar functions status {name.fqfn}"
    )


def _loops(reports: "list[InstanceReport]") -> set[tuple[int, int]]:
    """Return which instances are crash-looping, and after how many restarts."""
    return {(each.instance_id, each.restarts) for each in reports if each.phase == _LOOPING}


def _why(reports: "list[InstanceReport]", before: set[tuple[int, int]]) -> str:
    """Return what keeps an instance from running. Raises RequestError when it will not run before it is changed.

    A crash loop of `before` is that of the version which an update is about to replace.
    """
    for each in reports:
        if each.phase == _FAILED:
            raise RequestError(f"instance {each.instance_id} of {each.fqfn} can't run: {each.reason}")
        if each.phase == _LOOPING and (each.instance_id, each.restarts) not in before:
            raise RequestError(f"instance {each.instance_id} of {each.fqfn} is {each.phase}: {each.reason}")
    return next((f"instance {each.instance_id} is {each.phase} {each.reason}".strip() for each in reports), "")


@contextmanager
def _told() -> "Iterator[Callable[[str], None]]":
    """Show on a terminal what is waited for."""
    if not sys.stderr.isatty():
        yield lambda _text: None
        return
    from rich.console import Console  # noqa: PLC0415 - keeps help quick

    with Console(stderr=True).status("") as shown:
        yield shown.update
