"""Restarting instances where they are."""

from magnetar_instance.proto.function import STOPPED

from magnetar.errors import NotReadyError, RefusedError
from magnetar.functions.context import FunctionsContext
from magnetar.functions.owners import ask_all, ensure_mine, members, owner_of
from magnetar.functions.states import check_instance
from magnetar.model.names import FunctionName, fqiid, whole_function


async def restart(context: FunctionsContext, name: FunctionName) -> None:
    """Restart every instance that is not stopped. Raises UnknownFunctionError, RefusedError, NotReadyError."""
    metadata = context.metadata(name)
    count = metadata.functionDetails.parallelism
    owners = {each: owner for each in range(count) if (owner := owner_of(context, name, each)) is not None}
    if not owners:
        raise RefusedError(f"{name.fqfn} has not been assigned yet: try again in a little while")
    wanted = [each for each in owners if metadata.instanceStates.get(each) != STOPPED]
    if not wanted:
        raise _stopped(name)
    if _is_mine_as_a_whole(context, name):
        await _restart_here(context, whole_function(name.fqfn))
        return
    workers = await members(context) if any(owners[each] != context.worker_id for each in wanted) else {}

    async def one(index: int) -> str | None:
        instance_id = wanted[index]
        owner = owners[instance_id]
        try:
            if owner == context.worker_id:
                await context.instances.restart(fqiid(name.fqfn, instance_id))
            elif owner in workers:
                await context.peers.restart(workers[owner], name, instance_id)
            else:
                return f"instance {instance_id}: its worker {owner} has left the fleet"
        except ConnectionError as error:
            return f"instance {instance_id}: {error}"
        return None

    problems = [problem for _, problem in await ask_all(len(wanted), one) if problem]
    if problems:
        raise NotReadyError("; ".join(problems))


async def restart_instance(context: FunctionsContext, name: FunctionName, instance_id: int) -> None:
    """Restart one instance of this worker. Raises as `restart` does, and OwnedElsewhere."""
    metadata = context.metadata(name)
    check_instance(instance_id, metadata.functionDetails.parallelism)
    if metadata.instanceStates.get(instance_id) == STOPPED:
        raise _stopped(name)
    if not await ensure_mine(context, name, instance_id):
        raise RefusedError(f"{fqiid(name.fqfn, instance_id)} has not been assigned yet: try again in a little while")
    await _restart_here(context, fqiid(name.fqfn, instance_id))


def _is_mine_as_a_whole(context: FunctionsContext, name: FunctionName) -> bool:
    """Whether all instances are one assignment of this worker: they are then replaced one after the other."""
    assignment = context.coordination.assignments.get(whole_function(name.fqfn))
    return assignment is not None and assignment.workerId == context.worker_id


async def _restart_here(context: FunctionsContext, full_name: str) -> None:
    try:
        await context.instances.restart(full_name)
    except ConnectionError as error:
        raise NotReadyError(str(error)) from None


def _stopped(name: FunctionName) -> RefusedError:
    return RefusedError(f"{name.fqfn} is stopped: start it instead")
