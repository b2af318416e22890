"""`functions putstate`."""

import json
from typing import Annotated

from typer import Option

from magnetar.cli.connection import Connection, ask
from magnetar.cli.errors import UsageError
from magnetar.cli.options import Name
from magnetar.cli.output import Output

_EXAMPLE = '\'{"key": "k", "stringValue": "v"}\''


def putstate(
    name: Name,
    connection: Connection,
    output: Output,
    *,
    state: Annotated[str, Option("--state", "-s", metavar="JSON", help=f"Key and value, as {_EXAMPLE}.")],
) -> None:
    """Let a function keep a value under a key."""
    function = name.resolve()
    try:
        value = json.loads(state)
        key = str(value["key"])
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"--state is no state: write a JSON object with a key, such as {_EXAMPLE}") from None
    ask(connection, lambda worker: worker.functions.put_state(function, value))
    output.done(f"Stored {key}.", stored=key)
