"""`functions events`."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

from typer import Option

from magnetar.cli.connection import Connection, ask
from magnetar.cli.options import InstanceOption, Name
from magnetar.cli.output import Output

if TYPE_CHECKING:
    from magnetar.client import InstanceEvent, WorkerClient


def events(
    name: Name,
    connection: Connection,
    output: Output,
    *,
    follow: Annotated[bool, Option("--follow", "-f", help="Go on printing events as they come.")] = False,
    instance_id: InstanceOption = None,
) -> None:
    """Show what happened to a function's instances lately, oldest first: starts, ends and why.

    Those of pods are Kubernetes' own, and tell of the StatefulSet too. Followed, --format json prints one object a line.
    """
    function = name.resolve()

    async def print_all(worker: "WorkerClient") -> None:
        async for each in worker.magnetar.follow_events(function, instance=instance_id):
            _print(each, as_json=output.as_json)

    if follow:
        ask(connection, print_all)
        return
    found = ask(connection, lambda worker: worker.magnetar.events(function, instance=instance_id))
    if output.as_json:
        output.json([each.model_dump(mode="json", by_alias=True) for each in found])
        return
    output.table(
        ("time", "instance", "event", "phase", "reason"), [_row(each) for each in found], "Nothing happened lately."
    )


def _row(event: "InstanceEvent") -> tuple[object, ...]:
    instance = "-" if event.instance_id is None else event.instance_id
    return event.time, instance, event.event, event.phase or "-", event.reason


def _print(event: "InstanceEvent", *, as_json: bool) -> None:
    """Print one event at once: a reader of a pipe waits for it."""
    if as_json:
        text = json.dumps(event.model_dump(mode="json", by_alias=True), ensure_ascii=False)
    else:
        text = "  ".join(map(str, _row(event))).rstrip()
    sys.stdout.write(text + "\n")
