"""`functions start`."""

from magnetar.cli.connection import Connection, ask
from magnetar.cli.functions.waiting import Waiting
from magnetar.cli.options import InstanceOption, Name
from magnetar.cli.output import Output


def start(
    name: Name, waiting: Waiting, connection: Connection, output: Output, *, instance_id: InstanceOption = None
) -> None:
    """Start a stopped function or one of its instances."""
    function = name.resolve()
    ask(connection, lambda worker: worker.functions.start(function, instance_id))
    waiting.until_running(connection, function, instance_id)
    which = function.fqfn if instance_id is None else f"{function.fqfn}:{instance_id}"
    output.done(f"Started {which}.", started=which)
