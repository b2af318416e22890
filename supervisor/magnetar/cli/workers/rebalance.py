"""`functions-worker rebalance`."""

from magnetar.cli.connection import Connection, ask
from magnetar.cli.output import Output


def rebalance(connection: Connection, output: Output) -> None:
    """Spread the instances evenly over the workers."""
    ask(connection, lambda worker: worker.workers.rebalance())
    output.done("The instances are being spread evenly.", rebalance="begun")
