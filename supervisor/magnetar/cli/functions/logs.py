"""`functions logs`."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

from typer import Option

from magnetar.cli.connection import Connection, ask
from magnetar.cli.options import InstanceOption, Name
from magnetar.cli.output import Format, Output

if TYPE_CHECKING:
    from magnetar.client import LogLine, WorkerClient


def logs(
    name: Name,
    connection: Connection,
    output: Output,
    *,
    follow: Annotated[bool, Option("--follow", "-f", help="Go on printing lines as they come.")] = False,
    tail: Annotated[
        int | None, Option("--tail", "-n", min=0, help="How many last lines [100; 10 with -f; all with --since].")
    ] = None,
    since: Annotated[
        str, Option("--since", help="Only records since a time in ISO 8601, or so long ago: 30s, 10m, 2h, 1d.")
    ] = "",
    level: Annotated[
        str, Option("--level", help="Only records of this level or worse: DEBUG, INFO, WARNING, ERROR.")
    ] = "",
    instance_id: InstanceOption = None,
) -> None:
    """Print the last lines of a function's log, rotated files included, or follow it until Ctrl-C.

    With several instances each line begins with the number of its own. --format json prints one object a line.
    """
    function = name.resolve()
    printer = _Printer(as_json=output.format is Format.JSON, numbered=instance_id is None)

    async def print_all(worker: "WorkerClient") -> None:
        api = worker.magnetar
        if follow:
            async for line in api.follow(function, instance=instance_id, tail=tail, since=since, level=level):
                printer.print(line)
        else:
            for line in await api.log(function, instance=instance_id, tail=tail, since=since, level=level):
                printer.print(line)

    ask(connection, print_all)


class _Printer:
    def __init__(self, *, as_json: bool, numbered: bool) -> None:
        self._as_json = as_json
        self._numbered = numbered

    def print(self, line: "LogLine") -> None:
        """Print one line at once: a reader of a pipe waits for it."""
        if self._as_json:
            text = json.dumps({"instanceId": line.instance_id, "line": line.line}, ensure_ascii=False)
        else:
            text = f"{line.instance_id}: {line.line}" if self._numbered else line.line
        sys.stdout.write(text + "\n")
