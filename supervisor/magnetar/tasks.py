"""Tasks that serve whoever holds a context without touching the errors of its body, and work that may be given up."""

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar

import anyio
import anyio.abc

T = TypeVar("T")


class ServingTasks:
    """A task group whose context raises the body's own error, not a group with that error inside.

    Left, it cancels its tasks, or waits for them when `cancels` is false. A task that fails still cancels the body and is
    raised as an ExceptionGroup: nobody in the body could have known of it.
    """

    def __init__(self, *, cancels: bool = True) -> None:
        self._cancels = cancels
        self.group: anyio.abc.TaskGroup

    async def __aenter__(self) -> Self:
        self.group = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        if self._cancels:
            self.group.cancel_scope.cancel()
        if not isinstance(error, Exception):
            return await self.group.__aexit__(kind, error, trace)
        # The group must not see an error of the body, or it would wrap it.
        await self.group.__aexit__(None, None, None)
        return None


async def unless(over: Callable[[], Awaitable[object]], work: Callable[[], Awaitable[T]]) -> T | None:
    """Do some work, given up (None) as soon as `over` returns; an error of the work is raised as it is."""
    result: T | None = None
    failure: Exception | None = None

    async def give_up() -> None:
        await over()
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(give_up, name="give up")
        try:
            result = await work()
        except Exception as error:  # noqa: BLE001 - raised below, where no group wraps it
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return result
