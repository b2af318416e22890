"""The metrics server of an instance: any path answers with the Prometheus text, as Pulsar's does."""

import asyncio
import contextlib
from collections.abc import Callable

_HEAD_LIMIT = 64 * 1024
_HEAD_TIMEOUT = 10.0
_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsServer:
    """Serves the text that `text` returns while it is started."""

    def __init__(self, text: Callable[[], bytes]) -> None:
        self._text = text
        self._server: asyncio.Server | None = None

    async def start(self, host: str | None, port: int) -> int:
        """Bind and serve; returns the port. Raises OSError when it is taken."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=_HEAD_LIMIT)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_HEAD_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head.partition(b" ")[0]))
                await writer.drain()
        writer.close()

    def _answer(self, method: bytes) -> bytes:
        if method not in {b"GET", b"HEAD"}:
            return (
                b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        body = self._text()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {_TYPE}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return head.encode() + (body if method == b"GET" else b"")
