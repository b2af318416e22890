"""`functions reload`."""

from magnetar.cli.connection import Connection, ask
from magnetar.cli.output import Output


def reload(connection: Connection, output: Output) -> None:
    """Let the worker look for builtin functions anew (Pulsar 4.x)."""
    ask(connection, lambda worker: worker.functions.reload_builtins())
    output.done("The worker has looked for builtin functions anew.", reload="done")
