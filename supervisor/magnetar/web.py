"""An ASGI application served on a socket of ours, without signal handlers or a logging configuration."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager

import anyio
import h11
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from magnetar.errors import AddressInUseError
from magnetar.tasks import ServingTasks

CERTIFICATE = "magnetar.certificate"
"""Where an ASGI scope holds the client's verified certificate, in the form of `ssl.SSLSocket.getpeercert`."""
REQUEST_HEAD = 30.0
"""Seconds in which a client that has connected sends the head of a request."""
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


class _Protocol(H11Protocol):
    """uvicorn's own, which tells applications nothing of a client's certificate, and waits for a request for ever."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_a_request()
        connection: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        certificate = connection.getpeercert() if connection else None
        if certificate:
            self.app = _WithCertificate(self.app, certificate)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect_a_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose_no_patience()
        super().connection_lost(exc)

    def _expect_a_request(self) -> None:
        """Close the connection unless the head of a request is whole in time; between requests uvicorn sees to it."""
        if self.conn.their_state is not h11.IDLE:
            self._lose_no_patience()
        elif self._patience is None:
            self._patience = self.loop.call_later(REQUEST_HEAD, self.transport.close)

    def _lose_no_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class _WithCertificate:
    """The application as one connection sees it: each of its requests comes with the certificate."""

    def __init__(self, app: ASGIApp, certificate: object) -> None:
        self._app = app
        self._certificate = certificate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, CERTIFICATE: self._certificate}, receive, send)


def bind(setting: str, host: str, port: int) -> socket.socket:
    """Return a listening socket on `host:port` (0: any free port), or raise AddressInUseError naming the setting."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sends at once (TCP_NODELAY) where a socket says that it is TCP's; else each answer waits 40 ms for the client.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
async def serve(app: ASGIApp, listener: socket.socket, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve an application on a bound socket while the context is open; yields the port and closes the socket.

    Over TLS, a request's scope holds the certificate of a client that has one, as CERTIFICATE.
    """
    port = int(listener.getsockname()[1])
    config = uvicorn.Config(
        app,
        http=_Protocol,
        proxy_headers=False,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=_OPEN_REQUESTS_GRACE,
    )
    config.load()
    config.ssl = tls
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
