"""What functions import from `magnetar_instance`: the messages they return and are given, and what marks a batch form."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

_Marked = TypeVar("_Marked", bound=Callable[..., Any])
_BATCH = "__magnetar_batch__"


@dataclass(frozen=True, slots=True)
class Message:
    """An output with more than its value; a function may return a list of them, too, for several outputs.

    `event_time` is in milliseconds since the epoch. `topic` is where it goes, the function's output topic by default.
    """

    value: object
    key: str | None = None
    ordering_key: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    event_time: int | None = None
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class InputMessage:
    """An input with more than its value, as batch and window functions get them; times are in milliseconds since the epoch.

    `event_time` is 0 for a message without, `key` empty for one without. `message_id` is the client's.
    """

    value: Any
    topic: str
    message_id: Any = None
    key: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    event_time: int = 0
    publish_time: int = 0


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How many messages a batch has at most, and how many seconds its first one waits for others."""

    most: int = 500
    wait: float = 0.0


def batch(most: int = 500, wait: float = 0.0) -> Callable[[_Marked], _Marked]:
    """Mark a `process` that takes a list of InputMessage and returns a list of as many results, or None for none at all.

    A result that is an exception fails its message alone. Where `process` raises, it is called again with each message by
    itself. Without `wait` a batch is what waits already. Raises ValueError for options that make no batch.
    """
    if most < 1 or wait < 0:
        raise ValueError(f"@batch(most={most!r}, wait={wait!r}): most must be 1 or more, wait 0 seconds or more")

    def mark(process: _Marked) -> _Marked:
        mark_batch(process, BatchOptions(most, wait))
        return process

    return mark


def mark_batch(process: Callable[..., object], options: BatchOptions) -> None:
    """Mark a function as one that takes lists."""
    setattr(process, _BATCH, options)


def batch_options(process: Callable[..., object]) -> BatchOptions | None:
    """Return what `@batch` was given; None for a function that it does not mark."""
    found = getattr(process, _BATCH, None)
    return found if isinstance(found, BatchOptions) else None


class EventTime:
    """A timestamp extractor for windows: the message's event time, its publish time where it has none."""

    def extract_timestamp(self, message: InputMessage) -> int:
        """Return the time of a message in milliseconds since the epoch."""
        return message.event_time or message.publish_time
