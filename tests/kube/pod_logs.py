"""The part of a kubelet that the API server asks for the logs of containers: HTTPS on loopback."""

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import anyio.abc
from anyio.streams.tls import TLSListener
from certificates import Authority

_LOOK = 0.1
_HEAD = b"HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def serving_logs(logs: Mapping[str, Path], ended: Callable[[str], bool], folder: Path) -> AsyncIterator[int]:
    """Serve the logs of pods by name while the context is open; yields the port.

    `ended` says whether a pod is gone: what is followed ends with it.
    """
    await anyio.Path(folder).mkdir(parents=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*Authority(folder).issue("kubelet"))
    plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
    listener = TLSListener(plain, context, standard_compatible=False)

    async def answer(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            try:
                await _answer(stream, logs, ended)
            except (anyio.BrokenResourceError, anyio.EndOfStream):
                return

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, answer, name="logs of the kubelet")
        yield plain.extra(anyio.abc.SocketAttribute.local_port)
        tasks.cancel_scope.cancel()


async def _answer(stream: anyio.abc.ByteStream, logs: Mapping[str, Path], ended: Callable[[str], bool]) -> None:
    target = urlsplit((await _request_line(stream)).split()[1])
    _, verb, _, pod, _ = target.path.split("/")
    if verb != "containerLogs" or pod not in logs:
        await stream.send(_HEAD % (404, b"Not Found"))
        return
    await stream.send(_HEAD % (200, b"OK"))
    options = {name: values[-1] for name, values in parse_qs(target.query).items()}
    async for block in _blocks(anyio.Path(logs[pod]), options, lambda: ended(pod)):
        await stream.send(block)


async def _request_line(stream: anyio.abc.ByteStream) -> str:
    request = b""
    while b"\r\n\r\n" not in request:
        request += await stream.receive()
    return request.split(b"\r\n", 1)[0].decode()


async def _blocks(log: anyio.Path, options: Mapping[str, str], ended: Callable[[], bool]) -> AsyncIterator[bytes]:
    content = await log.read_bytes()
    lines = content.splitlines(keepends=True)
    first = max(0, len(lines) - int(options.get("tailLines", len(lines))))
    if lines[first:]:
        yield b"".join(lines[first:])
    told = len(content)
    while options.get("follow") == "true" and not ended():
        await anyio.sleep(_LOOK)
        content = await log.read_bytes()
        if content[told:]:
            yield content[told:]
        told = len(content)
