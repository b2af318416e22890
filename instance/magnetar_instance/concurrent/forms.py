"""How messages become calls: each by itself, or in batches."""

import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from magnetar_instance.api import BatchOptions, InputMessage
from magnetar_instance.concurrent.calls import Call, CallContext, Member
from magnetar_instance.concurrent.desk import Desk

AsyncProcess = Callable[[object, CallContext], Awaitable[object]]
"""What a function does, whether it is a coroutine function and takes a context or not."""


class Form(Protocol):
    """Makes calls of messages, and knows what the function is given and what its result means."""

    def add(self, member: Member) -> Iterator[Call]:
        """Yield the calls that a message completes."""

    def quiet(self) -> Iterator[Call]:
        """Yield the calls that are due because nothing waits to be received."""

    def due_at(self) -> float | None:
        """Return when `fire` wants to be called, by the monotonic clock."""

    def fire(self) -> Iterator[Call]:
        """Yield the calls that time has made due."""

    async def invoke(self, call: Call, context: CallContext) -> object:
        """Call the function."""

    def settle(self, call: Call, desk: Desk) -> None:
        """Hand over what came of a call, and decide on its inputs."""


class OneByOne(Form, Protocol):
    """A form in which each message has a result of its own."""

    def outcomes(self, call: Call) -> list[object]:
        """Return what came of each message of a call: its result, or an exception."""

    async def again(self, member: Member, context: CallContext) -> object:
        """Call the function with one message, and return its result. Raises what the function raises."""


class Each:
    """A call for each message."""

    def __init__(self, process: AsyncProcess, *, by_key: bool) -> None:
        self._process = process
        self._by_key = by_key

    def add(self, member: Member) -> Iterator[Call]:
        """Yield the call of a message."""
        yield Call([member], key=member.message.partition_key() if self._by_key else "")

    def quiet(self) -> Iterator[Call]:
        """Yield nothing: no message is kept."""
        return iter(())

    def due_at(self) -> None:
        """Return None: no message is kept."""

    def fire(self) -> Iterator[Call]:
        """Yield nothing."""
        return iter(())

    async def invoke(self, call: Call, context: CallContext) -> object:
        """Call the function with the value."""
        return await self._process(call.members[0].value, context)

    async def again(self, member: Member, context: CallContext) -> object:
        """Call the function with the value."""
        return await self._process(member.value, context)

    def outcomes(self, call: Call) -> list[object]:
        """Return the result, or the exception."""
        return [call.result if call.error is None else call.error]

    def settle(self, call: Call, desk: Desk) -> None:
        """Hand over the result, or have the message come again."""
        desk.conclude(call, call.members[0], self.outcomes(call)[0])


class Batches:
    """Calls with lists of messages; the function answers with a list of as many results."""

    def __init__(self, process: AsyncProcess, options: BatchOptions) -> None:
        self._process = process
        self._options = options
        self._members: list[Member] = []
        self._due: float | None = None

    def add(self, member: Member) -> Iterator[Call]:
        """Yield a call when the batch is full."""
        if not self._members:
            self._due = time.monotonic() + self._options.wait
        self._members.append(member)
        if len(self._members) >= self._options.most:
            yield self._taken()

    def quiet(self) -> Iterator[Call]:
        """Yield what there is, unless the batch waits for more."""
        if self._members and not self._options.wait:
            yield self._taken()

    def due_at(self) -> float | None:
        """Return when the first message of the batch has waited for long enough."""
        return self._due

    def fire(self) -> Iterator[Call]:
        """Yield a batch that has waited for long enough."""
        if self._members:
            yield self._taken()

    def _taken(self) -> Call:
        members, self._members, self._due = self._members, [], None
        return Call(members)

    async def invoke(self, call: Call, context: CallContext) -> object:
        """Call the function with the list; where it raises, with each message by itself, so that one fails alone."""
        inputs = [member.shown() for member in call.members]
        try:
            return _results(await self._process(inputs, context), len(inputs))
        except Exception:
            if len(inputs) == 1:
                raise
        return [await self._alone(each, context) for each in inputs]

    async def again(self, member: Member, context: CallContext) -> object:
        """Call the function with the message by itself."""
        return _results(await self._process([member.shown()], context), 1)[0]

    async def _alone(self, message: InputMessage, context: CallContext) -> object:
        try:
            return _results(await self._process([message], context), 1)[0]
        except Exception as error:  # noqa: BLE001 - whatever the function raises is its own
            return error

    def outcomes(self, call: Call) -> list[object]:
        """Return the results and exceptions of the messages."""
        return call.result if isinstance(call.result, list) else [call.error] * len(call.members)

    def settle(self, call: Call, desk: Desk) -> None:
        """Hand over each result, and have those come again that failed."""
        for member, result in zip(call.members, self.outcomes(call), strict=True):
            desk.conclude(call, member, result)


def _results(answered: object, count: int) -> list[object]:
    """Return the results of a batch. Raises TypeError for anything but as many as messages, or None."""
    if answered is None:
        return [None] * count
    if not isinstance(answered, list) or len(answered) != count:
        what = f"a list of {len(answered)}" if isinstance(answered, list) else type(answered).__name__
        raise TypeError(
            f"a batch of {count} message(s) was answered with {what}: return a list of {count} results, or None"
        )
    return answered
