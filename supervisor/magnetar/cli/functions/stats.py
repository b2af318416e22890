"""`functions stats`."""

from typing import TYPE_CHECKING

from magnetar.cli.connection import Connection, ask
from magnetar.cli.options import InstanceOption, Name
from magnetar.cli.output import Output

if TYPE_CHECKING:
    from magnetar.client import WorkerClient
    from magnetar.model.names import FunctionName
    from magnetar.model.stats import FunctionInstanceStatsData, FunctionStats

_COLUMNS = ("instance", "received", "processed", "user exceptions", "system exceptions", "ms", "received in 1 min")


def stats(name: Name, connection: Connection, output: Output, *, instance_id: InstanceOption = None) -> None:
    """Show how much a function has processed since its instances started."""
    function = name.resolve()
    found = ask(connection, lambda worker: _ask(worker, function, instance_id))
    if output.as_json:
        output.json(found.to_json())
        return
    rows = [] if instance_id is None else [_row(instance_id, found)]
    if instance_id is None:
        rows = [_row(each.instance_id, each.metrics) for each in getattr(found, "instances", ())]
        rows += [_row("all", found)] if len(rows) > 1 else []
    output.table(_COLUMNS, rows, f"{function.fqfn} has no instances.")


async def _ask(
    worker: "WorkerClient", name: "FunctionName", instance: int | None
) -> "FunctionStats | FunctionInstanceStatsData":
    if instance is None:
        return await worker.functions.stats(name)
    return await worker.functions.instance_stats(name, instance)


def _row(which: object, figures: "FunctionStats | FunctionInstanceStatsData") -> tuple[object, ...]:
    return (
        which,
        figures.received_total,
        figures.processed_successfully_total,
        figures.user_exceptions_total,
        figures.system_exceptions_total,
        figures.avg_process_latency,
        figures.one_min.received_total,
    )
