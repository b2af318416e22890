"""Windows of messages as calls, by the time of their arrival or by their own."""

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from magnetar_instance.api import InputMessage
from magnetar_instance.concurrent.calls import Call, CallContext, Member
from magnetar_instance.concurrent.desk import Desk
from magnetar_instance.concurrent.forms import AsyncProcess
from magnetar_instance.concurrent.watermark import Watermark
from magnetar_instance.concurrent.window_content import Window, Windows
from magnetar_instance.settings import WindowConfig


class TimestampExtractor(Protocol):
    """Tells a message's own time."""

    def extract_timestamp(self, message: InputMessage, /) -> int:
        """Return the time in milliseconds since the epoch."""


class LateCall(Call):
    """A message that came after its windows were over; the function is not called with it."""


class WindowCalls:
    """Calls the function with windows; each message is settled with the last window that it is in."""

    def __init__(self, process: AsyncProcess, config: WindowConfig) -> None:
        self._process = process
        self._config = config
        self._windows: Windows[Member] = Windows(config)
        self._began = _now_ms()

    def add(self, member: Member) -> Iterator[Call]:
        """Yield the calls of windows that a message completes."""
        self._windows.add(_now_ms(), member)
        if self._config.slide_count is not None:
            yield from self.fire()

    def quiet(self) -> Iterator[Call]:
        """Yield nothing: a window waits for its messages or its time."""
        return iter(())

    def due_at(self) -> float | None:
        """Return when the next window ends, where time tells."""
        if self._config.slide_count is not None or not self._windows:
            return None
        return self._windows.next_end(self._began) / 1000

    def fire(self) -> Iterator[Call]:
        """Yield the calls of windows that are complete."""
        yield from map(_call, self._windows.until(_now_ms(), self._began))

    async def invoke(self, call: Call, context: CallContext) -> object:
        """Call the function with the messages of the window."""
        if not call.members:
            return None
        return await self._process([member.shown() for member in call.members], context)

    def settle(self, call: Call, desk: Desk) -> None:
        """Hand over the window's result. Where it failed, all its messages have failed when they leave the last window."""
        if call.error is not None:
            desk.tell(call, call.error)
        error = call.error or self._unsent(call, desk)
        for member in call.members:
            member.error = member.error or error
        for member in call.settled:
            if member.error is None:
                desk.done(call, member)
            else:
                desk.fail(call, member, member.error)

    def _unsent(self, call: Call, desk: Desk) -> BaseException | None:
        if not call.members or desk.send(call, call.members[-1], call.result):
            return None
        return call.members[-1].error


class EventTimeCalls(WindowCalls):
    """Windows by the messages' own times: they end when the watermark has passed, and what comes later is late."""

    def __init__(
        self,
        process: AsyncProcess,
        config: WindowConfig,
        extractor: TimestampExtractor,
        inputs: int,
        late: Callable[[], None],
    ) -> None:
        super().__init__(process, config)
        self._extract = extractor.extract_timestamp
        self._watermark = Watermark(inputs, config.max_lag_ms)
        self._late = late
        self._next = 0.0
        self._news = False

    def add(self, member: Member) -> Iterator[Call]:
        """Yield a call for a message that is late; the others wait for the watermark.

        Raises what the extractor raises, and TypeError for a time that is none.
        """
        at = self._extract(member.shown())
        if not isinstance(at, int):
            raise TypeError(f"extract_timestamp returned {at!r}: return milliseconds since the epoch, an int")
        if not self._watermark.takes(member.source.topic, at):
            self._late()
            yield LateCall([], [member])
            return
        if not self._news:
            self._news = True
            self._next = max(self._next, time.monotonic())
        self._windows.add(at, member)

    def due_at(self) -> float | None:
        """Return when the watermark is told next."""
        return self._next if self._news else None

    def fire(self) -> Iterator[Call]:
        """Tell the watermark, and yield the calls of windows that it completes."""
        self._news = False
        self._next = time.monotonic() + self._config.watermark_ms / 1000
        yield from map(_call, self._windows.until(self._watermark.advance()))

    def settle(self, call: Call, desk: Desk) -> None:
        """Send a late message where late ones go, or hand over a window's result."""
        if not isinstance(call, LateCall):
            super().settle(call, desk)
            return
        (member,) = call.settled
        if self._config.late_topic and not desk.forward(call, member, self._config.late_topic):
            assert member.error is not None
            desk.fail(call, member, member.error)
        else:
            desk.acknowledge(call, member)


def _call(window: Window[Member]) -> Call:
    return Call(window.content, window.expired)


def _now_ms() -> float:
    return time.monotonic() * 1000
