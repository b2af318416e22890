"""`functions trigger`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from magnetar.cli.connection import Connection, ask
from magnetar.cli.errors import UsageError
from magnetar.cli.options import Name

if TYPE_CHECKING:
    from magnetar.client import WorkerClient


def trigger(
    name: Name,
    connection: Connection,
    *,
    trigger_value: Annotated[str | None, Option("--trigger-value", "--triggerValue", help="A text to send.")] = None,
    trigger_file: Annotated[
        Path | None,
        Option("--trigger-file", "--triggerFile", exists=True, dir_okay=False, help="A file whose bytes are sent."),
    ] = None,
    topic: Annotated[str | None, Option("--topic", help="Which input topic, when the function has several.")] = None,
) -> None:
    """Send a value to a function and print what comes out of it, or tell why nothing does."""
    from magnetar.cli.functions.answers import answer_of  # noqa: PLC0415 - keeps help quick

    if (trigger_value is None) == (trigger_file is None):
        raise UsageError("give either --trigger-value or --trigger-file")
    function = name.resolve()

    async def work(worker: "WorkerClient") -> str | None:
        return await answer_of(
            worker,
            function,
            lambda: worker.functions.trigger(function, value=trigger_value, file=trigger_file, topic=topic),
        )

    answer = ask(connection, work)
    if answer is not None:
        sys.stdout.write(answer + "\n")
