"""The instance that is to take another's place: started and prepared beside it, subscribed when that one has ended."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio

from magnetar.errors import RefusedError
from magnetar.runtimes.base import (
    BootFailed,
    InstanceSpec,
    Notice,
    Prepared,
    RunningInstance,
    Runtime,
    RuntimeStartError,
)
from magnetar.supervision.context import SupervisionContext


@dataclass(frozen=True)
class Begun:
    """An instance that was begun, and what it tells from here on."""

    instance: RunningInstance
    notices: AsyncIterator[Notice]
    adopted: bool = False


async def prepared(context: SupervisionContext, runtime: Runtime, spec: InstanceSpec) -> Begun | None:
    """Start an instance and wait until it is prepared; None where those of its kind can't wait.

    Raises RefusedError for what no retry mends, RuntimeStartError for the rest; nothing is left of one that failed.
    """
    async with context.starts:
        instance = await runtime.prepare(spec)
    if instance is None:
        return None
    notices = instance.notices()
    try:
        with anyio.fail_after(context.start_timeout):
            await _until_prepared(instance, notices)
    except TimeoutError:
        await _give_up(context, instance)
        raise RuntimeStartError(f"was not prepared {context.start_timeout:g} s after its start") from None
    except BaseException:
        await _give_up(context, instance)
        raise
    return Begun(instance, notices)


async def _give_up(context: SupervisionContext, instance: RunningInstance) -> None:
    with anyio.CancelScope(shield=True):
        await instance.stop(context.stop_grace)


async def _until_prepared(instance: RunningInstance, notices: AsyncIterator[Notice]) -> None:
    async for notice in notices:
        if isinstance(notice, Prepared):
            return
        if isinstance(notice, BootFailed):
            raise RefusedError("\n".join((notice.reason, *notice.traceback)))
    ended = await instance.wait()
    raise RuntimeStartError("\n".join((ended.describe(), *ended.last_lines)))
