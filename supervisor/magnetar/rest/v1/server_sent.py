"""Answers that go on: server-sent events from several sources at once."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from magnetar.jitter import spread

Told = dict[str, object]
Outlet = MemoryObjectSendStream[Told]
Source = Callable[[Outlet], Awaitable[None]]
Remote = Callable[[], AbstractAsyncContextManager[AsyncIterator[Told]]]
_KEEP_ALIVE = 15.0
_KEPT = b": nothing new\n\n"
_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]


class ServerSentEvents(Response):
    """What each source sends, until all have ended or the client leaves; a quiet stream says so every 15 s.

    An application rather than a generator: what is begun for it ends in the task that began it, however it ends.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        super().__init__(media_type="text/event-stream")
        self._sources = sources

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_leave_with_client, receive, tasks.cancel_scope, name="leave with the client")
            outgoing, incoming = anyio.create_memory_object_stream[Told](1000)
            with incoming:
                with outgoing:
                    for source in self._sources:
                        tasks.start_soon(_run, source, outgoing.clone(), name="source of events")
                await _pass_on(incoming, send)
            tasks.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b""})


def relay(remote: Remote, complaint: Callable[[str], Told]) -> Source:
    """Return a source of what another worker or a pod sends; one that is not to be had is a complaint in its place."""

    async def passed_on(outlet: Outlet) -> None:
        try:
            async with remote() as found:
                async for each in found:
                    await outlet.send(each)
        except ConnectionError as error:
            await outlet.send(complaint(str(error)))

    return passed_on


async def _run(source: Source, outlet: Outlet) -> None:
    async with outlet:
        await source(outlet)


async def _pass_on(incoming: MemoryObjectReceiveStream[Told], send: Send) -> None:
    while True:
        block = _KEPT
        # The timer `following`.
        with anyio.move_on_after(spread(_KEEP_ALIVE)):
            try:
                found = await incoming.receive()
            except anyio.EndOfStream:
                return
            block = b"data: " + json.dumps(found, ensure_ascii=False).encode() + b"\n\n"
        await send({"type": "http.response.body", "body": block, "more_body": True})


async def _leave_with_client(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
