"""Which worker has which instance of a function, and asking all of them at once."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import anyio

from magnetar.coordination.base import WorkerInfo
from magnetar.errors import RequestError
from magnetar.functions.context import FunctionsContext
from magnetar.model.names import FunctionName, fqiid, whole_function

T = TypeVar("T")


class OwnedElsewhere(Exception):  # noqa: N818 - no error: a direction
    """Raised when another worker has the instance; `worker` is the one to ask."""

    def __init__(self, worker: WorkerInfo) -> None:
        super().__init__(worker.worker_id)
        self.worker = worker


def owner_of(context: FunctionsContext, name: FunctionName, instance_id: int) -> str | None:
    """Return the id of the worker that an instance is assigned to, by itself or with its whole function."""
    assignments = context.coordination.assignments
    assignment = assignments.get(fqiid(name.fqfn, instance_id)) or assignments.get(whole_function(name.fqfn))
    return assignment.workerId if assignment else None


async def members(context: FunctionsContext) -> Mapping[str, WorkerInfo]:
    """Return the workers of the fleet by id; none when the broker does not tell now."""
    try:
        return {worker.worker_id: worker for worker in await context.coordination.members()}
    except RequestError as error:
        context.logger.warning("The fleet's members could not be had.", reason=str(error))
        return {}


async def elsewhere(context: FunctionsContext, name: FunctionName) -> dict[int, WorkerInfo]:
    """Return the other living workers that have instances of a function, by instance."""
    found = context.coordination.functions.get(name.fqfn)
    count = found.functionDetails.parallelism if found else 0
    owners = ((each, owner_of(context, name, each)) for each in range(count))
    strangers = {each: owner for each, owner in owners if owner is not None and owner != context.worker_id}
    workers = await members(context) if strangers else {}
    return {each: workers[owner] for each, owner in strangers.items() if owner in workers}


async def ensure_mine(context: FunctionsContext, name: FunctionName, instance_id: int) -> bool:
    """Return whether an instance is assigned at all. Raises OwnedElsewhere when it is another living worker's."""
    owner = owner_of(context, name, instance_id)
    if owner is None:
        return False
    if owner != context.worker_id and (worker := (await members(context)).get(owner)):
        raise OwnedElsewhere(worker)
    return owner == context.worker_id


async def ask_all(count: int, ask: Callable[[int], Awaitable[T]]) -> list[tuple[int, T]]:
    """Ask for every instance at once and return the answers by number."""
    answers: list[tuple[int, T]] = []

    async def one(instance_id: int) -> None:
        answers.append((instance_id, await ask(instance_id)))

    async with anyio.create_task_group() as tasks:
        for instance_id in range(count):
            tasks.start_soon(one, instance_id, name=f"ask instance {instance_id}")
    return answers
