"""`functions available-functions`."""

from magnetar.cli.connection import Connection, ask
from magnetar.cli.output import Output


def available_functions(connection: Connection, output: Output) -> None:
    """List the builtin functions of the worker that is asked (Pulsar 4.x)."""
    found = ask(connection, lambda worker: worker.functions.builtins())
    if output.as_json:
        output.json(found)
        return
    rows = [(each.get("name"), each.get("description")) for each in found]
    output.table(("function", "description"), rows, "The worker has no builtin functions.")
