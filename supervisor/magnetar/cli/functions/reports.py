"""What is asked of a function's instances again and again: their states, and what only Magnetar's worker tells of them."""

from typing import TYPE_CHECKING

from magnetar.errors import RefusedByWorkerError

if TYPE_CHECKING:
    from magnetar.client import InstanceReport, WorkerClient
    from magnetar.model.names import FunctionName
    from magnetar.model.status import FunctionInstanceStatusData

_MISSING = 404


async def states_of(worker: "WorkerClient", name: "FunctionName") -> "list[FunctionInstanceStatusData]":
    """Return the states of all instances."""
    return [each.status for each in (await worker.functions.status(name)).instances]


async def reports_of(worker: "WorkerClient", name: "FunctionName") -> "list[InstanceReport]":
    """Return how the instances are supervised; nothing when Pulsar's own worker was asked, which has no such answer."""
    try:
        found = await worker.magnetar.instances()
    except RefusedByWorkerError as error:
        if error.status != _MISSING:
            raise
        return []
    return [each for each in found if each.fqfn == name.fqfn]
