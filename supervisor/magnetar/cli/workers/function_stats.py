"""`functions-worker function-stats`."""

from magnetar.cli.connection import Connection, ask
from magnetar.cli.output import Output

_COLUMNS = ("instance", "received", "processed", "user exceptions", "system exceptions", "ms")


def function_stats(connection: Connection, output: Output) -> None:
    """Show the figures of all instances of the worker that is asked."""
    found = ask(connection, lambda worker: worker.workers.function_stats())
    if output.as_json:
        output.json([{"name": each.name, "metrics": each.metrics.to_json()} for each in found])
        return
    rows = [
        (
            each.name,
            each.metrics.received_total,
            each.metrics.processed_successfully_total,
            each.metrics.user_exceptions_total,
            each.metrics.system_exceptions_total,
            each.metrics.avg_process_latency,
        )
        for each in found
    ]
    output.table(_COLUMNS, rows, "The worker runs no instances.")
