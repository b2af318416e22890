"""`functions querystate`."""

import time
from typing import Annotated

from typer import Option

from magnetar.cli.connection import Connection, ask
from magnetar.cli.options import Name
from magnetar.cli.output import Output, warn
from magnetar.errors import RefusedByWorkerError

_BETWEEN_LOOKS = 1.0
_MISSING = 404


def querystate(
    name: Name,
    connection: Connection,
    output: Output,
    *,
    key: Annotated[str, Option("--key", "-k", help="The key.")],
    watch: Annotated[bool, Option("--watch", "-w", help="Look once a second, until Ctrl-C.")] = False,
) -> None:
    """Print what a function keeps under a key."""
    function = name.resolve()
    while True:
        try:
            output.json(ask(connection, lambda worker: worker.functions.state(function, key)))
        except RefusedByWorkerError as error:
            if not watch or error.status != _MISSING:
                raise
            warn(error.reason)
        if not watch:
            return
        time.sleep(_BETWEEN_LOOKS)
