"""In which order calls start and are settled."""

from collections import deque
from collections.abc import Iterator
from typing import Protocol

from magnetar_instance.concurrent.calls import Call


class Order(Protocol):
    """Decides when a call may start and when one that came back may be settled."""

    def enter(self, call: Call) -> bool:
        """Take a call; tells whether it may start at once."""

    def leave(self, call: Call) -> Iterator[Call]:
        """Yield the calls to settle, in their order, now that one more came back."""

    def freed(self, call: Call) -> Call | None:
        """Return the call that may start because this one came back."""


class InputOrder:
    """All calls run at the same time, and are settled in the order of their inputs."""

    def __init__(self) -> None:
        self._waiting: deque[Call] = deque()

    def enter(self, call: Call) -> bool:
        """Take a call; it starts at once."""
        self._waiting.append(call)
        return True

    def leave(self, call: Call) -> Iterator[Call]:  # noqa: ARG002 - it is marked already
        """Yield the calls that came back and have none before them that did not."""
        while self._waiting and self._waiting[0].finished:
            yield self._waiting.popleft()

    def freed(self, call: Call) -> None:
        """Return None: nothing waits to start."""


class KeyOrder:
    """Calls of one key run one after the other, all others at the same time; each is settled when it comes back."""

    def __init__(self) -> None:
        self._lanes: dict[str, deque[Call]] = {}

    def enter(self, call: Call) -> bool:
        """Take a call; it waits for those of its key."""
        if not call.key:
            return True
        lane = self._lanes.get(call.key)
        if lane is None:
            self._lanes[call.key] = deque()
            return True
        lane.append(call)
        return False

    def leave(self, call: Call) -> Iterator[Call]:
        """Yield this call alone."""
        yield call

    def freed(self, call: Call) -> Call | None:
        """Return the next call of this one's key."""
        if not call.key:
            return None
        lane = self._lanes[call.key]
        if lane:
            return lane.popleft()
        del self._lanes[call.key]
        return None
