import socket

import anyio
import pytest
from magnetar.runtimes.process.stub import InstanceStub

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("asked_before", [True, False])
async def test_an_instance_that_ended_does_not_answer(asked_before: bool) -> None:
    """A question that comes after the end is a lost connection like any other: it once ended the whole worker."""
    stub = InstanceStub(1)
    with anyio.fail_after(30):
        if asked_before:
            with pytest.raises(ConnectionError):
                await stub.health_check()
        await stub.close()
        with pytest.raises(ConnectionError, match="has ended"):
            await stub.health_check()


async def test_a_question_that_is_under_way_at_the_end_is_a_lost_connection() -> None:
    """Whoever waits for an answer hears of the end: gRPC's cancellation is not theirs."""
    heard: list[ConnectionError] = []
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        stub = InstanceStub(silent.getsockname()[1])

        async def ask() -> None:
            try:
                await stub.first_status()
            except ConnectionError as error:
                heard.append(error)

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask)
                await anyio.wait_all_tasks_blocked()
                await stub.close()
    assert len(heard) == 1
