"""`functions get`."""

from magnetar.cli.connection import Connection, ask
from magnetar.cli.options import Name
from magnetar.cli.output import Output


def get(name: Name, connection: Connection, output: Output) -> None:
    """Print a function's config as JSON."""
    function = name.resolve()
    config = ask(connection, lambda worker: worker.functions.get(function))
    output.json(config.to_json())
