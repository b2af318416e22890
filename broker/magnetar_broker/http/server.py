"""A small HTTP/1.1 server: h11 reads and writes, asyncio's streams carry."""

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import h11

from magnetar_broker.errors import BrokerError, StartError
from magnetar_broker.http.messages import Request, Response, Routes, answer, refusal

_CHUNK = 256 * 1024
_SAFE = {"GET", "HEAD", "OPTIONS"}


class HttpServer:
    """Serves routes; bound to loopback it refuses what a web page of another origin may have sent."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loopback = True

    async def listen(self, host: str, port: int) -> int:
        """Listen on `host:port`, 0 for any free port; returns the port. Raises StartError."""
        try:
            self._server = await asyncio.start_server(self._accept, host, port)
        except OSError as error:
            raise StartError(
                f"{host}:{port} can't be listened on: {error.strerror}; give another --admin-port"
            ) from error
        self._loopback = _is_loopback(host)
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
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer), name="admin connection")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        try:
            while await self._serve_one(connection):
                connection.http.start_next_cycle()
        except (h11.ProtocolError, ConnectionError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _serve_one(self, connection: "Connection") -> bool:
        """Serve one request; returns whether the connection can take another."""
        head = await connection.next()
        if not isinstance(head, h11.Request):
            return False
        request = _request(head, connection)
        response = await self._answer(request)
        async for _ in request.body:
            pass
        await connection.send(response, head_only=request.method == "HEAD")
        return connection.http.our_state is h11.DONE and connection.http.their_state is h11.DONE

    async def _answer(self, request: Request) -> Response:
        if (problem := self._foreign(request)) is not None:
            return answer({"reason": problem}, 403)
        method = "GET" if request.method == "HEAD" else request.method
        handler, parameters, known = self._routes.find(method, request.path)
        if handler is None:
            status = 405 if known else 404
            return answer({"reason": f"{HTTPStatus(status).phrase}: {request.method} {request.path}"}, status)
        try:
            return await handler(replace(request, parameters=parameters))
        except BrokerError as error:
            return refusal(error)

    def _foreign(self, request: Request) -> str | None:
        """Return why a request is refused: any web page can post to loopback, or make its own name point there."""
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        if self._loopback and host and not _is_loopback(host):
            return f"Host {host!r} is not this broker's: it listens on loopback alone"
        origin = request.headers.get("origin")
        if origin and request.method not in _SAFE and urlsplit(origin).netloc != request.headers.get("host"):
            return f"Origin {origin!r} is foreign to this broker"
        return None


def _request(head: h11.Request, connection: "Connection") -> Request:
    parts = urlsplit(head.target.decode("ascii", "replace"))
    return Request(
        method=head.method.decode(),
        path=parts.path,
        query=dict(parse_qsl(parts.query, keep_blank_values=True)),
        headers={name.decode(): value.decode("latin-1") for name, value in head.headers},
        body=connection.body(),
    )


class Connection:
    """One client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.http = h11.Connection(h11.SERVER)
        self._reader = reader
        self._writer = writer

    async def next(self) -> object:
        """Return the next event of HTTP."""
        while True:
            event = self.http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self.http.they_are_waiting_for_100_continue:
                self._write(self.http.send(h11.InformationalResponse(status_code=100, headers=[])))
            self.http.receive_data(await self._reader.read(_CHUNK))

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the parts of the body. Raises RemoteProtocolError when it ends too early."""
        while self.http.their_state is h11.SEND_BODY:
            event = await self.next()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return

    async def send(self, response: Response, *, head_only: bool) -> None:
        """Send a response; a file goes in parts."""
        size = response.body.stat().st_size if isinstance(response.body, Path) else len(response.body)
        headers = [("Content-Type", response.content_type), *response.headers.items()]
        if response.status != 204:
            headers.append(("Content-Length", str(size)))
        self._write(self.http.send(h11.Response(status_code=response.status, headers=headers)))
        if not head_only and response.status != 204:
            await self._send_body(response.body)
        self._write(self.http.send(h11.EndOfMessage()) if not head_only or not size else b"")
        await self._writer.drain()

    async def _send_body(self, body: bytes | Path) -> None:
        if isinstance(body, bytes):
            self._write(self.http.send(h11.Data(data=body)))
            return
        with body.open("rb") as file:
            while part := file.read(_CHUNK):
                self._write(self.http.send(h11.Data(data=part)))
                await self._writer.drain()

    def _write(self, data: bytes | None) -> None:
        if data:
            self._writer.write(data)


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
