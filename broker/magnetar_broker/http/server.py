"""The admin server's port; what serves its connections comes with the first one."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Protocol

from magnetar_broker.errors import StartError
from magnetar_broker.loopback import is_loopback


class Serving(Protocol):
    """Serves connections."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""


class HttpServer:
    """Listens, and hands connections on.

    `make_serving` is called at the first connection, with whether the server is bound to loopback: its libraries would cost
    every start of a broker what most never need.
    """

    def __init__(self, make_serving: Callable[[bool], Serving], *, tls: ssl.SSLContext | None = None) -> None:
        self._make_serving = make_serving
        self._serving: Serving | None = None
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loopback = True

    async def listen(self, host: str, port: int) -> int:
        """Listen on `host:port`, 0 for any free port; returns the port. Raises StartError."""
        try:
            self._server = await asyncio.start_server(self._accept, host, port, ssl=self._tls)
        except OSError as error:
            raise StartError(
                f"{host}:{port} can't be listened on: {error.strerror}; give another --admin-port"
            ) from error
        self._loopback = is_loopback(host)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None:
            self._server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._serving is None:
            self._serving = self._make_serving(self._loopback)
        task = asyncio.get_running_loop().create_task(self._serving.serve(reader, writer), name="admin connection")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
