"""A function's log as server-sent events.

Growth is seen by looking at each followed file's size four times a second, and only while somebody follows it. The kernel
could tell (inotify), but not of files on network mounts, not beyond a limit per user that other programs share, and not
without a descriptor for each file; rotation, which this reading sees by itself, would need watches on directories as well.
The timer is `log following` of the documentation.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import anyio
import anyio.to_thread
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.types import Receive, Scope, Send

from magnetar.log_files.following import FollowedLog
from magnetar.log_files.order import Written, grown_in_order, in_order
from magnetar.log_files.reading import last_lines
from magnetar.log_files.records import Wanted

_LOOK = 0.25
_KEEP_ALIVE = 15.0
_KEPT = b": the log is quiet\n\n"
_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
Lines = AbstractAsyncContextManager[AsyncIterator[dict[str, object]]]


def event(instance_id: int, line: str) -> dict[str, object]:
    """Return a line of a log as its JSON object."""
    return {"instanceId": instance_id, "line": line}


@dataclass(frozen=True)
class Window:
    """What of a log is asked for: at most so many last lines of those wanted."""

    count: int
    wanted: Wanted


def read_tail(files: Sequence[Path], instance_id: int, window: Window) -> list[dict[str, object]]:
    """Return an instance's last lines, in the order in which they were written. Blocking."""
    written = [Written(last_lines(file, window.count, window.wanted), _changed(file)) for file in files]
    return [event(instance_id, line) for line in in_order(written)[-window.count :]] if window.count else []


def _changed(file: Path) -> float:
    """Return when a file was last written to, 0 where there is none."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


class LogEvents:
    """An answer that goes on: the last lines, then every line as it comes.

    It ends when the client leaves, or once `goes_on` is false and nothing is left. An ASGI application rather than a
    generator: what is begun for it ends in the task that began it, however it ends.
    """

    def __init__(
        self,
        local: Mapping[int, Sequence[Path]],
        remote: Sequence[Callable[[], Lines]],
        window: Window,
        goes_on: Callable[[], bool],
    ) -> None:
        self._local = local
        self._remote = remote
        self._window = window
        self._goes_on = goes_on

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_leave_with_client, receive, tasks.cancel_scope, name="leave with the client")
            outgoing, incoming = anyio.create_memory_object_stream[dict[str, object]](1000)
            with incoming:
                with outgoing:
                    follow = (self._local, self._window, self._goes_on, outgoing.clone())
                    tasks.start_soon(_follow_files, *follow, name="follow log files")
                    for source in self._remote:
                        tasks.start_soon(_follow_peer, source, outgoing.clone(), name="follow a peer's log")
                await _pass_on(incoming, send)
            tasks.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b""})


async def _pass_on(incoming: MemoryObjectReceiveStream[dict[str, object]], send: Send) -> None:
    while True:
        block = _KEPT
        with anyio.move_on_after(_KEEP_ALIVE):
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


async def _follow_files(
    local: Mapping[int, Sequence[Path]],
    window: Window,
    goes_on: Callable[[], bool],
    send: MemoryObjectSendStream[dict[str, object]],
) -> None:
    growing: list[tuple[int, FollowedLog]] = []
    try:
        async with send:
            growing, lines = await anyio.to_thread.run_sync(_begin, local, window)
            while True:
                for each in lines:
                    await send.send(each)
                if not lines:
                    if not goes_on():
                        return
                    await anyio.sleep(_LOOK)
                lines = await anyio.to_thread.run_sync(_grown, growing)
    finally:
        for _, file in growing:
            file.close()


def _begin(
    local: Mapping[int, Sequence[Path]], window: Window
) -> tuple[list[tuple[int, FollowedLog]], list[dict[str, object]]]:
    """Open the files at their ends, then read what stands before: a line written in between comes twice, not never."""
    growing = [(number, FollowedLog(file, window.wanted)) for number, files in local.items() for file in files]
    return growing, [each for number, files in local.items() for each in read_tail(files, number, window)]


def _grown(growing: Sequence[tuple[int, FollowedLog]]) -> list[dict[str, object]]:
    return [
        event(instance_id, line)
        for instance_id, files in groupby(growing, itemgetter(0))
        for line in grown_in_order(file for _, file in files)
    ]


async def _follow_peer(source: Callable[[], Lines], send: MemoryObjectSendStream[dict[str, object]]) -> None:
    async with send:
        try:
            async with source() as lines:
                async for each in lines:
                    await send.send(each)
        except ConnectionError as error:
            await send.send(event(-1, str(error)))
