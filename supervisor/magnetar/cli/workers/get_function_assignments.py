"""`functions-worker get-function-assignments`."""

from magnetar.cli.connection import Connection, ask
from magnetar.cli.output import Output


def get_function_assignments(connection: Connection, output: Output) -> None:
    """Show which worker runs which instance."""
    found = ask(connection, lambda worker: worker.workers.assignments())
    if output.as_json:
        output.json(found)
        return
    rows = [(worker, instance) for worker, instances in sorted(found.items()) for instance in sorted(instances)]
    output.table(("worker", "instance"), rows, "No instance is assigned.")
