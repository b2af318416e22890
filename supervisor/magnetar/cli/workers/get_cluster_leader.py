"""`functions-worker get-cluster-leader`."""

from magnetar.cli.connection import Connection, ask
from magnetar.cli.output import Output


def get_cluster_leader(connection: Connection, output: Output) -> None:
    """Show which worker leads."""
    leader = ask(connection, lambda worker: worker.workers.leader())
    sentence = f"{leader.worker_id} at {leader.worker_hostname}:{leader.port}"
    output.done(sentence, **leader.model_dump(by_alias=True))
