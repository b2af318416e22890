"""A function's figures, gathered from the workers that have its instances."""

from collections.abc import Mapping

from magnetar.coordination.base import WorkerInfo
from magnetar.functions.context import FunctionsContext
from magnetar.functions.owners import ask_all, ensure_mine, members, owner_of
from magnetar.functions.states import check_instance
from magnetar.model.names import FunctionName, fqiid
from magnetar.model.stats import FunctionInstanceStatsData, FunctionStats, add_up, instance_stats

_NONE = FunctionInstanceStatsData()


async def stats(context: FunctionsContext, name: FunctionName) -> FunctionStats:
    """Return the figures of every assigned instance and their sums. Raises UnknownFunctionError."""
    count = context.metadata(name).functionDetails.parallelism
    owners = {each: owner for each in range(count) if (owner := owner_of(context, name, each)) is not None}
    remote = any(owner != context.worker_id for owner in owners.values())
    workers = await members(context) if remote else {}

    async def ask(instance_id: int) -> FunctionInstanceStatsData:
        return await _anywhere(context, name, instance_id, workers)

    answers = await ask_all(count, ask)
    return add_up([(number, data) for number, data in answers if number in owners])


async def instance_figures(
    context: FunctionsContext, name: FunctionName, instance_id: int
) -> FunctionInstanceStatsData:
    """Return the figures of one instance. Raises UnknownFunctionError, RefusedError, OwnedElsewhere."""
    check_instance(instance_id, context.metadata(name).functionDetails.parallelism)
    await ensure_mine(context, name, instance_id)
    return await _anywhere(context, name, instance_id, {})


async def local_stats(context: FunctionsContext) -> list[tuple[str, FunctionInstanceStatsData]]:
    """Return the figures of this worker's instances by `tenant/namespace/name:id`; of those that answer."""
    names = [view.fqiid for view in context.instances.views()]

    async def ask(index: int) -> FunctionInstanceStatsData | None:
        try:
            return instance_stats(await context.instances.metrics(names[index]))
        except ConnectionError:
            return None

    answers = await ask_all(len(names), ask)
    return sorted((names[index], data) for index, data in answers if data is not None)


async def _anywhere(
    context: FunctionsContext, name: FunctionName, instance_id: int, workers: Mapping[str, WorkerInfo]
) -> FunctionInstanceStatsData:
    owner = owner_of(context, name, instance_id)
    try:
        if owner == context.worker_id:
            return instance_stats(await context.instances.metrics(fqiid(name.fqfn, instance_id)))
        if owner is not None and owner in workers:
            return await context.peers.stats(workers[owner], name, instance_id)
    except ConnectionError:
        return _NONE  # an instance that does not run has done nothing since its start
    return _NONE
