"""An ASGI application served on a socket of ours, without signal handlers or a logging configuration."""

import contextlib
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager

import anyio
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from magnetar.errors import AddressInUseError
from magnetar.tasks import ServingTasks

_BACKLOG = 512
_OPEN_REQUESTS_GRACE = 2


class _EmbeddedServer(uvicorn.Server):
    """A uvicorn server that leaves the process's signals alone: they belong to the program that embeds it.

    It waits to be stopped where uvicorn's own looks ten times a second, so that an idle worker is idle.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopped = anyio.Event()

    async def main_loop(self) -> None:
        await self.stopped.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def bind(setting: str, host: str, port: int) -> socket.socket:
    """Return a listening socket on `host:port` (0: any free port), or raise AddressInUseError naming the setting."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise AddressInUseError(setting, host, port) from error
    listener.listen(_BACKLOG)
    listener.setblocking(False)  # noqa: FBT003
    return listener


@asynccontextmanager
async def serve(app: ASGIApp, listener: socket.socket) -> AsyncIterator[int]:
    """Serve an application on a bound socket while the context is open; yields the port and closes the socket."""
    port = int(listener.getsockname()[1])
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=_OPEN_REQUESTS_GRACE,
    )
    server = _EmbeddedServer(config)
    async with ServingTasks(cancels=False) as tasks:
        tasks.group.start_soon(_run, server, listener, name=f"http server on port {port}")
        try:
            yield port
        finally:
            server.stopped.set()


async def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    with anyio.CancelScope(shield=True):
        await server.serve(sockets=[listener])
    listener.close()


class Switchboard:
    """An application that stands for another one, which comes later: the port answers before there is an answer."""

    def __init__(self, first: ASGIApp) -> None:
        self.current = first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to whichever application is the current one."""
        await self.current(scope, receive, send)
