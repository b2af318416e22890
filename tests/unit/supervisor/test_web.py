import anyio
import pytest
from anyio.abc import SocketStream
from magnetar import web
from starlette.types import Receive, Scope, Send

pytestmark = pytest.mark.anyio
PATIENCE, LONGER = 4.0, 5.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer once the body has come; at `/slow` after more time than a head may take."""
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/slow":
        await anyio.sleep(LONGER)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def read_all(stream: SocketStream) -> bytes:
    found = b""
    try:
        while True:
            found += await stream.receive()
    except anyio.EndOfStream:
        return found


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nA: "])
async def test_a_client_that_sends_no_whole_request_is_left(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever connects and stays silent, or stops in the middle of a head, holds no connection for long."""
    monkeypatch.setattr(web, "REQUEST_HEAD", 0.3)
    with anyio.fail_after(60):
        async with (
            web.serve(slow, web.bind("port", "127.0.0.1", 0)) as port,
            await anyio.connect_tcp("127.0.0.1", port) as stream,
        ):
            if sent:
                await stream.send(sent)
            assert await read_all(stream) == b""


async def test_a_request_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow answer is not cut, and neither is the next request on its connection."""
    monkeypatch.setattr(web, "REQUEST_HEAD", PATIENCE)
    with anyio.fail_after(60):
        async with (
            web.serve(slow, web.bind("port", "127.0.0.1", 0)) as port,
            await anyio.connect_tcp("127.0.0.1", port) as stream,
        ):
            await stream.send(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
            await stream.send(b"b")
            found = b""
            while not found.endswith(b"ok"):
                found += await stream.receive()
            await stream.send(b"GET /next HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert (await read_all(stream)).endswith(b"ok")
