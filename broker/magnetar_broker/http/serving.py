"""A small HTTP/1.1 server: h11 reads and writes, asyncio's streams carry."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import h11

from magnetar_broker.auth.authenticator import Authenticator, Certificate, Identity
from magnetar_broker.errors import BrokerError
from magnetar_broker.http.messages import Found, Request, Response, Routes, answer, refusal
from magnetar_broker.loopback import is_loopback

logger = logging.getLogger(__name__)

Judging = Callable[[Identity | None, str, Found], None]
"""Takes who sent a request, its method, and what was found for it."""

_CHUNK = 256 * 1024
_SKIPPED = 16 * 1024 * 1024
_SAFE = {"GET", "HEAD", "OPTIONS"}


class HttpServing:
    """Serves routes; bound to loopback it refuses what a web page of another origin may have sent.

    `settle` is waited for after a request that may have changed something, before it is answered: an answer promises that
    the change is on disk. `judge` refuses what a client may not do. A client that says nothing for `patience` seconds is
    disconnected.
    """

    def __init__(
        self,
        routes: Routes,
        *,
        loopback: bool,
        settle: Callable[[], Awaitable[None]],
        authenticator: Authenticator | None = None,
        judge: Judging | None = None,
        patience: float = 60.0,
    ) -> None:
        self._routes = routes
        self._loopback = loopback
        self._settle = settle
        self._authenticator = authenticator or Authenticator()
        self._judge = judge
        self._patience = patience

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        connection = Connection(reader, writer, self._patience)
        try:
            while await self._serve_one(connection):
                connection.http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            await connection.refuse(error)
        except (h11.LocalProtocolError, ConnectionError, TimeoutError, ssl.SSLError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()

    async def _serve_one(self, connection: "Connection") -> bool:
        """Serve one request; returns whether the connection can take another."""
        head = await connection.next()
        if not isinstance(head, h11.Request):
            return False
        request = _request(head, connection)
        response = await self._answer(request, connection)
        await connection.skip_rest()
        await connection.send(response)
        return connection.http.our_state is h11.DONE and connection.http.their_state is h11.DONE

    async def _answer(self, request: Request, connection: "Connection") -> Response:
        if (problem := self._foreign(request)) is not None:
            return answer({"reason": problem}, 403)
        method = "GET" if request.method == "HEAD" else request.method
        try:
            found = self._found(request, method, connection.certificate)
            if found.handler is None:
                status = 405 if found.known else 404
                return answer({"reason": f"{HTTPStatus(status).phrase}: {request.method} {request.path}"}, status)
            response = await found.handler(replace(request, parameters=found.parameters))
            if method not in _SAFE:
                await self._settle()
        except BrokerError as error:
            return refusal(error)
        except OSError as error:
            if isinstance(error, ConnectionError | TimeoutError):
                raise
            return answer({"reason": f"the disk refuses: {error.strerror}"}, 507)
        except h11.ProtocolError:
            raise
        except Exception:
            # A fault of ours in one handler: its client is told, and everyone else is served on.
            logger.exception("%s %s failed", request.method, request.path)
            return answer({"reason": "the broker failed at this request; its log says how"}, 500)
        return response

    def _found(self, request: Request, method: str, certificate: Certificate | None) -> Found:
        """Return what answers a request, for someone who may make it. Raises AuthenticationError, AuthorizationError."""
        identity = None
        if self._authenticator.enabled:
            identity = self._authenticator.identify_request(request.headers, certificate)
        found = self._routes.find(method, request.path)
        if self._judge is not None and found.handler is not None:
            self._judge(identity, method, found)
        return found

    def _foreign(self, request: Request) -> str | None:
        """Return why a request is refused: any web page can post to loopback, or make its own name point there."""
        host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
        if self._loopback and host and not is_loopback(host):
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

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, patience: float) -> None:
        self.http = h11.Connection(h11.SERVER)
        self.certificate: Certificate | None = writer.get_extra_info("peercert")
        self._reader = reader
        self._writer = writer
        self._patience = patience
        self._head_only = False

    async def next(self) -> object:
        """Return the next event of HTTP. Raises TimeoutError when the client says nothing."""
        while True:
            event = self.http.next_event()
            if isinstance(event, h11.Request):
                self._head_only = event.method == b"HEAD"
            if event is not h11.NEED_DATA:
                return event
            if self.http.they_are_waiting_for_100_continue:
                self._write(self.http.send(h11.InformationalResponse(status_code=100, headers=[])))
            async with asyncio.timeout(self._patience):
                self.http.receive_data(await self._reader.read(_CHUNK))

    async def body(self) -> AsyncIterator[bytes]:
        """Yield the parts of the body. Raises RemoteProtocolError when it ends too early."""
        while self.http.their_state is h11.SEND_BODY:
            event = await self.next()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return

    async def skip_rest(self) -> None:
        """Read what is left of the body, up to a bound: a client that sends more than was wanted is cut off."""
        left = _SKIPPED
        async for part in self.body():
            left -= len(part)
            if left < 0:
                return

    async def refuse(self, error: h11.RemoteProtocolError) -> None:
        """Tell a client that what it sent is no HTTP, where that can still be said."""
        if self.http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            with contextlib.suppress(h11.LocalProtocolError, ConnectionError):
                await self.send(answer({"reason": f"this is no request: {error}"}, error.error_status_hint))

    async def send(self, response: Response) -> None:
        """Send a response; a file goes in parts."""
        size = response.body.stat().st_size if isinstance(response.body, Path) else len(response.body)
        headers = [("Content-Type", response.content_type), *response.headers.items()]
        bodiless = response.status == 204
        if not bodiless:
            headers.append(("Content-Length", str(size)))
        self._write(self.http.send(h11.Response(status_code=response.status, headers=headers)))
        if not self._head_only and not bodiless:
            await self._send_body(response.body)
        self._write(self.http.send(h11.EndOfMessage()))
        async with asyncio.timeout(self._patience):
            await self._writer.drain()

    async def _send_body(self, body: bytes | Path) -> None:
        if isinstance(body, bytes):
            self._write(self.http.send(h11.Data(data=body)))
            return
        with body.open("rb") as file:
            while part := file.read(_CHUNK):
                self._write(self.http.send(h11.Data(data=part)))
                async with asyncio.timeout(self._patience):
                    await self._writer.drain()

    def _write(self, data: bytes | None) -> None:
        if data:
            self._writer.write(data)
