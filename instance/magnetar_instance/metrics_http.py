"""The metrics server of an instance: any path answers with the Prometheus text, as Pulsar's does, or as OpenMetrics."""

import asyncio
import contextlib
import re
from collections.abc import Callable

from magnetar_instance.open_metrics import negotiated

_HEAD_LIMIT = 64 * 1024
_HEAD_TIMEOUT = 10.0
_ACCEPT = re.compile(rb"^accept:([^\r]*)", re.IGNORECASE | re.MULTILINE)


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
                writer.write(self._answer(head))
                await writer.drain()
        writer.close()

    def _answer(self, request: bytes) -> bytes:
        method = request.partition(b" ")[0]
        if method not in {b"GET", b"HEAD"}:
            return (
                b"HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        accept = b",".join(_ACCEPT.findall(request)).decode("latin-1")
        text, kind = negotiated(self._text().decode(), accept)
        body = text.encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return head.encode() + (body if method == b"GET" else b"")
