"""A consumer as its subscription sees it, and the connection behind it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from magnetar_broker.topics.meter import Meter

_UNACKNOWLEDGED_LIMIT = 50_000


class ConsumerLink(Protocol):
    """What a subscription asks of a consumer's connection."""

    @property
    def writable(self) -> bool:
        """Whether the peer keeps up: false while the socket's buffer is full."""

    @property
    def address(self) -> str:
        """The peer's address as `host:port`."""

    def deliver(self, consumer: "Consumer", delivery: "Delivery") -> None:
        """Send entries."""

    def tell_active(self, consumer_id: int, *, active: bool) -> None:
        """Tell a Failover consumer whether it is the active one."""

    def close_consumer(self, consumer_id: int) -> None:
        """Make the client subscribe anew, with empty queues and fresh permits."""


class Delivery(NamedTuple):
    """Neighbouring entries on their way to a consumer; one alone where it was delivered before or is wanted in part."""

    topic_id: int
    partition: int
    first: int
    entries: Sequence[bytes]
    redeliveries: int = 0
    ack_set: Sequence[int] = ()


@dataclass(eq=False, slots=True)
class Consumer:
    """One consumer of a subscription.

    `pending` holds the entries that it has and has not acknowledged, with their counts of messages, where entries go to
    several consumers; one that gets everything in order needs no such book.
    """

    id: int
    name: str
    link: ConsumerLink
    kind: int
    priority: int = 0
    epoch: int | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    read_compacted: bool = False
    key_ranges: tuple[tuple[int, int], ...] = ()
    permits: int = 0
    pending: dict[int, int] = field(default_factory=dict)
    unacknowledged: int = 0
    sent: Meter = field(default_factory=Meter)
    redelivered: int = 0
    connected_since: float = field(default_factory=time.time)

    @property
    def blocked(self) -> bool:
        """Whether it has too much that it has not acknowledged, as Pulsar counts: 50 000 messages."""
        return self.unacknowledged >= _UNACKNOWLEDGED_LIMIT

    @property
    def ready(self) -> bool:
        """Whether the consumer wants an entry and can take it."""
        return self.permits > 0 and self.unacknowledged < _UNACKNOWLEDGED_LIMIT and self.link.writable

    @property
    def room(self) -> int:
        """How many messages it may be sent now; an entry that holds more is sent all the same."""
        return min(self.permits, _UNACKNOWLEDGED_LIMIT - self.unacknowledged)

    def hold(self, entry: int, count: int) -> None:
        """Note an entry as pending."""
        self.pending[entry] = count
        self.unacknowledged += count

    def let_go(self, entry: int) -> bool:
        """Note that an entry is pending no more; returns whether it was."""
        count = self.pending.pop(entry, None)
        if count is None:
            return False
        self.unacknowledged -= count
        return True

    def let_all_go(self) -> None:
        """Note that nothing is pending."""
        self.pending.clear()
        self.unacknowledged = 0
