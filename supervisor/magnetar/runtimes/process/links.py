"""The links to all Python instances of a runtime, read and pinged by one task.

It is the timer `pings` of the documentation.
"""

import selectors
import socket
from collections import deque
from math import inf

import anyio

from magnetar.jitter import sooner
from magnetar.runtimes.process.link import ANSWER_DEADLINE, SupervisorLink

_TURNS = 10
"""Turns into which the pings of all instances are divided, so that a hundred of them don't wake up at once."""
_ANSWERS = 0.1
"""Seconds that answers to pings may gather before they are read together: a wake-up costs more than an answer."""


class Links:
    """Makes links; `run` reads them while it runs, and pings each that was silent for `ping_every` seconds."""

    def __init__(self, ping_every: float) -> None:
        self._between_turns = ping_every / _TURNS
        self._selector = selectors.DefaultSelector()
        self._turn_of: dict[SupervisorLink, int] = {}
        self._opened = self._turn = 0
        self._next_turn = inf
        self._unanswered: deque[tuple[float, SupervisorLink]] = deque()
        self._waiting = anyio.CancelScope()

    def open(self, ours: socket.socket | None = None) -> SupervisorLink:
        """Return a new link, or one over `ours`, the supervisor's end of one that another worker made."""
        theirs = None
        if ours is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        link = SupervisorLink(ours, theirs, watched=self._begin_turns, closing=self._forget)
        self._selector.register(ours, selectors.EVENT_READ, link)
        self._turn_of[link] = self._opened % _TURNS
        self._opened += 1
        return link

    def close(self) -> None:
        """Hear nothing more; links that are left open can be closed afterwards."""
        self._turn_of.clear()
        self._selector.close()

    def _forget(self, link: SupervisorLink) -> None:
        if self._turn_of.pop(link, None) is not None:
            self._selector.unregister(link.descriptor)

    async def run(self) -> None:
        """Hear and ping until cancelled."""
        while True:
            # The timer `pings`.
            with anyio.CancelScope(deadline=self._due()) as self._waiting:
                await anyio.wait_readable(self._selector.fileno())
            if anyio.current_time() >= self._next_turn:
                await self._take_turn()
            self._hear()
            self._miss()

    def _due(self) -> float:
        return min(self._next_turn, self._unanswered[0][0] + ANSWER_DEADLINE if self._unanswered else inf)

    def _begin_turns(self) -> None:
        if self._next_turn == inf:
            self._next_turn = self._after_a_while()
            self._waiting.cancel()

    def _after_a_while(self) -> float:
        return anyio.current_time() + sooner(self._between_turns)

    async def _take_turn(self) -> None:
        """Ping those whose turn it is, and give them a moment; the timer ends with the last link."""
        self._turn = (self._turn + 1) % _TURNS
        now = anyio.current_time()
        pinged = [link for link, turn in self._turn_of.items() if turn == self._turn and link.take_turn(now)]
        self._next_turn = self._after_a_while() if self._turn_of else inf
        if pinged:
            await anyio.sleep(_ANSWERS)
            self._hear()
            self._unanswered.extend((now, link) for link in pinged if link.pinged_at == now)

    def _hear(self) -> None:
        for key, _ in self._selector.select(0):
            key.data.hear()

    def _miss(self) -> None:
        while self._unanswered and self._unanswered[0][0] + ANSWER_DEADLINE <= anyio.current_time():
            asked_at, link = self._unanswered.popleft()
            if link.pinged_at == asked_at:
                link.miss()
