"""One call of a function: what it is given, what became of it, and which inputs are settled with it."""

from collections.abc import Callable
from typing import Any

from magnetar_instance.api import InputMessage
from magnetar_instance.context import FunctionContext
from magnetar_instance.delivery import Confirmation
from magnetar_instance.entries import Entry
from magnetar_instance.inputs import Input


class Member:
    """A message on its way through a function."""

    __slots__ = ("entry", "error", "message", "source", "value")

    def __init__(self, source: Input, message: Any, entry: Entry, value: object) -> None:
        self.source = source
        self.message = message
        self.entry = entry
        self.value = value
        self.error: BaseException | None = None
        """Set when a call that it was part of failed, before it is settled."""

    def shown(self) -> InputMessage:
        """Return the message as functions of lists are given it."""
        message = self.message
        return InputMessage(
            value=self.value,
            topic=self.entry.topic,
            message_id=message.message_id(),
            key=message.partition_key(),
            properties=message.properties(),
            event_time=message.event_timestamp(),
            publish_time=message.publish_timestamp(),
        )


class Call:
    """`members` are what the function is given, `settled` those of them that are done with afterwards."""

    __slots__ = (
        "acknowledged",
        "confirmation",
        "error",
        "finished",
        "key",
        "members",
        "over",
        "result",
        "settled",
        "took",
    )

    def __init__(self, members: list[Member], settled: list[Member] | None = None, key: str = "") -> None:
        self.members = members
        self.settled = members if settled is None else settled
        self.key = key
        self.result: object = None
        self.error: BaseException | None = None
        self.took = 0.0
        self.finished = False
        """Whether the function came back."""
        self.over = False
        """Whether the call was settled: what its function's threads publish from now on belongs to no input."""
        self.acknowledged: list[tuple[Input, Entry]] = []
        self.confirmation: Confirmation | None = None


class CallContext(FunctionContext):
    """The context of one call; several are in use at a time."""

    _alone = True
    _confirm: Callable[[Call], Confirmation | None]
    _call: Call

    def apart(self) -> Confirmation | None:
        """Return the confirmation of the call's inputs; None once the call is over."""
        return self._confirm(self._call)


def context_of(base: FunctionContext, call: Call, confirm: Callable[[Call], Confirmation | None]) -> CallContext:
    """Return the context of a call; the current message is the last that the function is given."""
    made = CallContext.__new__(CallContext)
    made.__dict__.update(base.__dict__)
    made.current = (call.members or call.settled)[-1].message
    made._call = call  # noqa: SLF001
    made._confirm = confirm  # noqa: SLF001
    return made
