"""Which versions of a function its other workers found that can't be run."""

import anyio

from magnetar.coordination.base import WorkerInfo
from magnetar.functions.context import FunctionsContext
from magnetar.functions.owners import elsewhere
from magnetar.model.names import FunctionName
from magnetar.supervision.refusal import Refusal

_PATIENCE = 5.0
"""Seconds that all of them have to answer."""


async def refusal_elsewhere(context: FunctionsContext, name: FunctionName, fingerprint: str) -> Refusal | None:
    """Ask the workers that have instances of a function whether a version failed; who does not answer knows of none."""
    found: dict[str, Refusal] = {}

    async def ask(worker: WorkerInfo) -> None:
        try:
            with anyio.fail_after(_PATIENCE):
                refusal = await context.peers.refusal(worker, name)
        except (ConnectionError, TimeoutError) as error:
            context.logger.info(
                "A worker did not tell which updates failed there.",
                function=name.fqfn, asked=worker.worker_id, reason=str(error) or f"silent for {_PATIENCE:g} s",
            )  # fmt: skip
            return
        if refusal is not None and refusal.fingerprint == fingerprint:
            found[worker.worker_id] = refusal

    async with anyio.create_task_group() as tasks:
        for worker in sorted(set((await elsewhere(context, name)).values()), key=str):
            tasks.start_soon(ask, worker, name=f"ask {worker.worker_id} for failed updates")
    return found[min(found)] if found else None
