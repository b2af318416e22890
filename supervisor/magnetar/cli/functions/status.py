"""`functions status`."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from magnetar.cli.connection import Connection, ask
from magnetar.cli.functions.reports import reports_of
from magnetar.cli.options import InstanceOption, Name
from magnetar.cli.output import Output

if TYPE_CHECKING:
    from magnetar.client import InstanceReport, WorkerClient
    from magnetar.model.names import FunctionName
    from magnetar.model.status import FunctionInstanceStatusData

_COLUMNS = ("instance", "phase", "received", "processed", "exceptions", "ms", "last call", "restarts", "worker", "why")


def status(name: Name, connection: Connection, output: Output, *, instance_id: InstanceOption = None) -> None:
    """Show whether a function's instances run, and if not, why."""
    function = name.resolve()
    if output.as_json:
        output.json(ask(connection, lambda worker: _answer(worker, function, instance_id)))
        return
    states, reports = ask(connection, lambda worker: _everything(worker, function, instance_id))
    rows = [_row(number, state, reports.get(number)) for number, state in states.items()]
    output.table(_COLUMNS, rows, f"{function.fqfn} has no instances.")
    for number, state in states.items():
        _tell_exceptions(number, state)


async def _answer(worker: "WorkerClient", name: "FunctionName", instance: int | None) -> dict[str, object]:
    if instance is None:
        return (await worker.functions.status(name)).to_json()
    return (await worker.functions.instance_status(name, instance)).to_json()


async def _everything(
    worker: "WorkerClient", name: "FunctionName", instance: int | None
) -> "tuple[dict[int, FunctionInstanceStatusData], dict[int, InstanceReport]]":
    if instance is None:
        states = {each.instance_id: each.status for each in (await worker.functions.status(name)).instances}
    else:
        states = {instance: await worker.functions.instance_status(name, instance)}
    return states, {each.instance_id: each for each in await reports_of(worker, name)}


def _row(number: int, state: "FunctionInstanceStatusData", report: "InstanceReport | None") -> tuple[object, ...]:
    why = (report.reason if report else "") or state.error
    if report and report.next_start_at:
        why = f"{why}; next start at {_clock(report.next_start_at)}"
    return (
        number,
        report.phase if report else "running" if state.running else "not running",
        state.num_received,
        state.num_successfully_processed,
        state.num_user_exceptions + state.num_system_exceptions,
        state.average_latency,
        _clock(state.last_invocation_time / 1000) if state.last_invocation_time else "-",
        state.num_restarts,
        state.worker_id,
        why,
    )


def _tell_exceptions(number: int, state: "FunctionInstanceStatusData") -> None:
    for exceptions in (state.latest_user_exceptions, state.latest_system_exceptions):
        if exceptions:
            last = exceptions[-1]
            sys.stdout.write(f"instance {number}, {_clock(last.timestamp_ms / 1000)}: {last.sentence}\n")


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
