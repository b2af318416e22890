"""The socket pair between the supervisor and one Python instance of ours: lines of JSON in both directions."""

import json
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio

from magnetar.runtimes.base import BootFailed, Notice, Prepared, Progress, Pulse, Ready

_LIMIT = 1 << 20
"""Bytes that a line may have; what is longer ends the reading: no instance of ours says so much."""
ANSWER_DEADLINE = 5.0
"""Seconds that an instance has to answer a ping."""
_COUNTS = ("received", "processed")


class SupervisorLink:
    """The supervisor's end; the instance's end is handed to the child and closed here once it was spawned.

    Whoever made it reads it (`hear`) and pings it by turns; `watched` is called when that begins to be wanted, `closing`
    before the descriptor is closed. One that works on messages is not pinged: it may hold the interpreter.
    """

    def __init__(
        self,
        ours: socket.socket,
        theirs: socket.socket | None,
        *,
        watched: Callable[[], None],
        closing: Callable[["SupervisorLink"], None],
    ) -> None:
        self.theirs = theirs
        self._ours = ours
        self._ours.setblocking(False)  # noqa: FBT003
        self._tell_watched = watched
        self._tell_closing = closing
        self._unread = b""
        self._heard: deque[Notice] = deque()
        self._news = anyio.Event()
        self._over = self._watched = self._working = self._spoke = self._silent = False
        self.pinged_at: float | None = None
        """When it was pinged; None once something was heard."""

    @property
    def descriptor(self) -> int:
        """The supervisor's end, for a guardian to hold."""
        return self._ours.fileno()

    def close_theirs(self) -> None:
        """Close the child's end here, so that its death is an end of file."""
        if self.theirs is not None:
            self.theirs.close()

    def close(self) -> None:
        """Close both ends; whoever iterates `notices` still gets what was said before."""
        while self.hear():
            pass
        self._end()

    async def notices(self) -> AsyncIterator[Notice]:
        """Yield what the instance says of itself, until it has ended or the link is closed."""
        try:
            while True:
                while self._heard:
                    yield self._heard.popleft()
                if self._over:
                    return
                self._news = anyio.Event()
                await self._news.wait()
        finally:
            # Not emptied: where another worker goes on with the link, it reads what was not read here.
            self._end()

    def send(self, command: str, **fields: object) -> None:
        """Send a command; an instance that has ended, or whose socket is full, does not get it."""
        try:
            self._ours.send(json.dumps({"command": command, **fields}).encode() + b"\n")
        except OSError:
            return

    def watch(self) -> None:
        """Have it pinged from now on when it is silent: it is subscribed."""
        self._watched = True
        self._tell_watched()

    def take_turn(self, now: float) -> bool:
        """Ping it, if it is idle and has told nothing since its last turn; returns whether that was done."""
        spoke, self._spoke = self._spoke, False
        if not self._watched or spoke or self._working or self.pinged_at is not None:
            return False
        self.pinged_at = now
        self.send("ping")
        return True

    def miss(self) -> None:
        """Tell that a ping was not answered in time."""
        self._silent = True
        self._say(Pulse(f"it did not answer within {ANSWER_DEADLINE:g} s"))

    def hear(self) -> bool:
        """Take what was said, a part of it if it is much; returns whether there was something."""
        if self._over:
            return False
        try:
            chunk = self._ours.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            chunk = b""
        if not chunk or len(self._unread) >= _LIMIT:
            self._end()
            return False
        self._take(chunk)
        return True

    def _take(self, chunk: bytes) -> None:
        was_silent, self._silent, self.pinged_at = self._silent, False, None
        if was_silent:
            self._say(Pulse())
        *lines, self._unread = (self._unread + chunk).split(b"\n")
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                continue
            notice = _notice(message) if isinstance(message, dict) else None
            if isinstance(notice, Ready):
                self.watch()
            elif isinstance(notice, Progress):
                self._working = notice.received > notice.processed
            if notice is not None:
                self._spoke = True
                self._say(notice)

    def _say(self, notice: Notice) -> None:
        self._heard.append(notice)
        self._news.set()

    def _end(self) -> None:
        if self._over:
            return
        self._over = True
        self._tell_closing(self)
        self.close_theirs()
        self._ours.close()
        self._news.set()


def _notice(message: dict[str, Any]) -> Notice | None:
    match message.get("event"):
        case "ready":
            return Ready()
        case "prepared":
            return Prepared()
        case "failed":
            return BootFailed(str(message.get("reason")), tuple(map(str, message.get("traceback") or ())))
        case "progress":
            return Progress(*(number if isinstance(number := message.get(name), int) else 0 for name in _COUNTS))
    return None
