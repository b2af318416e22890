import anyio
import pytest
from magnetar.tasks import ServingTasks

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_the_bodys_error_is_raised_as_it_is() -> None:
    """An error of the body is no group, and the tasks have ended by then."""
    ended = anyio.Event()

    async def serve() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    with pytest.raises(ValueError, match="mine"):
        async with ServingTasks() as tasks:
            tasks.group.start_soon(serve)
            await anyio.wait_all_tasks_blocked()
            raise ValueError("mine")
    assert ended.is_set()


async def test_a_failed_task_ends_the_body() -> None:
    """A body that waits is cancelled when a task that serves it fails, and hears why."""

    async def fail() -> None:
        raise ValueError("theirs")

    with pytest.raises(ExceptionGroup) as caught:
        async with ServingTasks() as tasks:
            tasks.group.start_soon(fail)
            await anyio.sleep_forever()
    assert [str(each) for each in caught.value.exceptions] == ["theirs"]


async def test_tasks_that_end_by_themselves_are_waited_for() -> None:
    """Without cancelling, the context is left when the tasks are through."""
    through = anyio.Event()

    async def work() -> None:
        await anyio.wait_all_tasks_blocked()
        through.set()

    async with ServingTasks(cancels=False) as tasks:
        tasks.group.start_soon(work)
    assert through.is_set()


async def test_cancellation_from_outside_passes() -> None:
    """A cancelled body stays cancelled."""
    with anyio.CancelScope() as scope:
        async with ServingTasks():
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
