"""`functions-worker drain`."""

from typing import Annotated

from typer import Option

from magnetar.cli.connection import Connection, ask
from magnetar.cli.output import Output


def drain(
    connection: Connection,
    output: Output,
    *,
    worker_id: Annotated[str | None, Option("--worker-id", help="Which worker; the one asked when not given.")] = None,
) -> None:
    """Move all instances off a worker (Pulsar 4.x and Magnetar)."""
    ask(connection, lambda worker: worker.workers.drain(worker_id))
    output.done(f"{worker_id or 'The worker'} is being drained.", drain="begun", worker=worker_id)
