"""`functions-worker get-cluster`."""

from magnetar.cli.connection import Connection, ask
from magnetar.cli.output import Output


def get_cluster(connection: Connection, output: Output) -> None:
    """List the workers of the fleet."""
    found = ask(connection, lambda worker: worker.workers.cluster())
    if output.as_json:
        output.json([each.model_dump(by_alias=True) for each in found])
        return
    rows = [(each.worker_id, each.worker_hostname, each.port) for each in found]
    output.table(("worker", "host", "port"), rows, "The fleet has no workers.")
