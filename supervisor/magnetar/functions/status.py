"""A function's status, gathered from the workers that have its instances."""

from collections.abc import Mapping

from magnetar.coordination.base import WorkerInfo
from magnetar.functions.context import FunctionsContext
from magnetar.functions.owners import ask_all, ensure_mine, members, owner_of
from magnetar.functions.states import check_instance
from magnetar.model.names import FunctionName, fqiid
from magnetar.model.status import (
    FunctionInstanceStatusData,
    FunctionStatus,
    gather,
    running_status,
    stopped_status,
    unscheduled_status,
)


async def status(context: FunctionsContext, name: FunctionName) -> FunctionStatus:
    """Return the state of every instance, wherever it is. Raises UnknownFunctionError."""
    count = context.metadata(name).functionDetails.parallelism
    remote = any(owner_of(context, name, each) not in (None, context.worker_id) for each in range(count))
    workers = await members(context) if remote else {}

    async def ask(instance_id: int) -> FunctionInstanceStatusData:
        return await _anywhere(context, name, instance_id, workers)

    return gather(await ask_all(count, ask))


async def instance_status(
    context: FunctionsContext, name: FunctionName, instance_id: int
) -> FunctionInstanceStatusData:
    """Return the state of one instance. Raises UnknownFunctionError, RefusedError, OwnedElsewhere."""
    check_instance(instance_id, context.metadata(name).functionDetails.parallelism)
    await ensure_mine(context, name, instance_id)
    return await _anywhere(context, name, instance_id, {})


async def _anywhere(
    context: FunctionsContext, name: FunctionName, instance_id: int, workers: Mapping[str, WorkerInfo]
) -> FunctionInstanceStatusData:
    owner = owner_of(context, name, instance_id)
    if owner is None:
        return unscheduled_status(name.name)
    if owner == context.worker_id:
        return await _here(context, name, instance_id)
    if owner not in workers:
        return stopped_status(f"its worker {owner} has left the fleet; it is moved in a while", owner)
    try:
        return await context.peers.status(workers[owner], name, instance_id)
    except ConnectionError as error:
        return stopped_status(str(error), owner)


async def _here(context: FunctionsContext, name: FunctionName, instance_id: int) -> FunctionInstanceStatusData:
    full = fqiid(name.fqfn, instance_id)
    view = context.instances.view(full)
    if view is None:
        return stopped_status("it is about to be started", context.worker_id)
    try:
        status = running_status(await context.instances.status(full), context.worker_id, view.restarts)
        return status.model_copy(update={"error": view.reason}) if view.reason else status
    except ConnectionError as error:
        return stopped_status(view.reason or str(error), context.worker_id, view.restarts)
