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
