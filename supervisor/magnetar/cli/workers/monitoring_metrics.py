"""`functions-worker monitoring-metrics`."""

from magnetar.cli.connection import Connection, ask
from magnetar.cli.output import Output


def monitoring_metrics(connection: Connection, output: Output) -> None:
    """Print the worker's own metrics as JSON; Prometheus reads them from the metrics port."""
    output.json(ask(connection, lambda worker: worker.workers.metrics()))
