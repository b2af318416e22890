"""`magnetar top`."""

import sys
from typing import TYPE_CHECKING, Annotated

from typer import Option

from magnetar.cli.connection import Connection, ask
from magnetar.cli.output import Output

if TYPE_CHECKING:
    from rich.table import Table

    from magnetar.cli.top.rows import Look
    from magnetar.client import WorkerClient

_FRAME = 6
"""Lines of a terminal that are not rows."""


def top(
    connection: Connection,
    output: Output,
    *,
    interval: Annotated[float, Option("--interval", "-d", min=0.2, help="Seconds between two looks.")] = 2.0,
    once: Annotated[bool, Option("--once", help="Look twice, print the result and end.")] = False,
) -> None:
    """Watch the instances of a worker until Ctrl-C, those in trouble first; in a pipe, print them once."""
    if once or output.as_json:
        ask(connection, lambda worker: _once(worker, output, interval))
        return
    try:
        ask(connection, lambda worker: _watch(worker, interval))
    except KeyboardInterrupt:
        return


async def _once(worker: "WorkerClient", output: Output, interval: float) -> None:
    import anyio  # noqa: PLC0415 - keeps help quick

    from magnetar.cli.top.rows import COLUMNS, rows  # noqa: PLC0415

    before = await _look(worker)
    await anyio.sleep(interval)
    found = rows(before, await _look(worker))
    if output.as_json:
        output.json([dict(zip(COLUMNS, row, strict=True)) for row in found])
    else:
        output.table(COLUMNS, found, "The worker runs no instances.")


async def _watch(worker: "WorkerClient", interval: float) -> None:
    import anyio  # noqa: PLC0415 - keeps help quick
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    console, before = Console(file=sys.stdout), None
    with Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            now = await _look(worker)
            live.update(_table(before, now, worker.url, console.height - _FRAME), refresh=True)
            before = now
            await anyio.sleep(interval)


async def _look(worker: "WorkerClient") -> "Look":
    import anyio  # noqa: PLC0415 - keeps help quick

    from magnetar.cli.top.rows import Look  # noqa: PLC0415

    reports = await worker.magnetar.instances()
    stats = {each.name: each for each in await worker.workers.function_stats()}
    return Look(anyio.current_time(), reports, stats)


def _table(before: "Look | None", now: "Look", url: str, room: int) -> "Table":
    from rich.table import Table  # noqa: PLC0415 - keeps help quick

    from magnetar.cli.top.rows import COLUMNS, rows  # noqa: PLC0415

    found = rows(before, now)
    more = f", {len(found) - room} more below" if len(found) > room else ""
    table = Table(title=f"{url}: {len(found)} instances{more}", title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("instance", "phase", "why") else "right")
    for row in found[: max(room, 1)]:
        table.add_row(*("-" if each is None else str(each) for each in row))
    return table
