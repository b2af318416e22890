"""`functions events`."""

from magnetar.cli.connection import Connection, ask
from magnetar.cli.options import InstanceOption, Name
from magnetar.cli.output import Output


def events(name: Name, connection: Connection, output: Output, instance_id: InstanceOption = None) -> None:
    """Show what happened to a function's instances lately, oldest first: starts, ends and why.

    Those of pods are Kubernetes' own, and tell of the StatefulSet too.
    """
    function = name.resolve()
    found = ask(connection, lambda worker: worker.magnetar.events(function, instance=instance_id))
    if output.as_json:
        output.json([each.model_dump(mode="json", by_alias=True) for each in found])
        return
    rows = [
        (each.time, "-" if each.instance_id is None else each.instance_id, each.event, each.phase or "-", each.reason)
        for each in found
    ]
    output.table(("time", "instance", "event", "phase", "reason"), rows, "Nothing happened lately.")
