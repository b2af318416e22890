"""`functions list`."""

from magnetar.cli.connection import Connection, ask
from magnetar.cli.options import Namespace
from magnetar.cli.output import Output


def list_functions(place: Namespace, connection: Connection, output: Output) -> None:
    """List the functions of a namespace."""
    tenant, namespace = place.resolve()
    names = sorted(ask(connection, lambda worker: worker.functions.names(tenant, namespace)))
    if output.as_json:
        output.json(names)
    else:
        output.table(["function"], [[name] for name in names], f"No functions in {tenant}/{namespace}.")
