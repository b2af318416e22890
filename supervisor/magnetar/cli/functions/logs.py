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
    from magnetar.model.names import FunctionName

_TAIL, _TAIL_FOLLOWED = 100, 10


def logs(
    name: Name,
    connection: Connection,
    output: Output,
    *,
    follow: Annotated[bool, Option("--follow", "-f", help="Go on printing lines as they come.")] = False,
    tail: Annotated[int | None, Option("--tail", "-n", min=0, help="How many last lines [100; 10 with -f].")] = None,
    instance_id: InstanceOption = None,
) -> None:
    """Print the last lines of a function's log, or follow it until Ctrl-C.

    With several instances each line begins with the number of its own. --format json prints one object a line.
    """
    function = name.resolve()
    printer = _Printer(as_json=output.format is Format.JSON, numbered=instance_id is None)
    if follow:
        lines = _TAIL_FOLLOWED if tail is None else tail
        ask(connection, lambda worker: _follow(worker, function, instance_id, lines, printer))
        return
    lines = _TAIL if tail is None else tail
    for line in ask(connection, lambda worker: worker.magnetar.log(function, instance=instance_id, tail=lines)):
        printer.print(line)


async def _follow(
    worker: "WorkerClient", name: "FunctionName", instance: int | None, tail: int, printer: "_Printer"
) -> None:
    async for line in worker.magnetar.follow(name, instance=instance, tail=tail):
        printer.print(line)


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
        sys.stdout.flush()
