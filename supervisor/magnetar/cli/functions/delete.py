"""`functions delete`."""

from magnetar.cli.connection import Connection, ask
from magnetar.cli.options import Name
from magnetar.cli.output import Output


def delete(name: Name, connection: Connection, output: Output) -> None:
    """Stop a function and forget it, its subscriptions too unless its config keeps them."""
    function = name.resolve()
    ask(connection, lambda worker: worker.functions.delete(function))
    output.done(f"Deleted {function.fqfn}.", deleted=function.fqfn)
