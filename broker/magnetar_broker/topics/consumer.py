"""A consumer as its subscription sees it, and the connection behind it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


class ConsumerLink(Protocol):
    """What a subscription asks of a consumer's connection."""

    @property
    def writable(self) -> bool:
        """Whether the peer keeps up: false while the socket's buffer is full."""

    @property
    def address(self) -> str:
        """The peer's address as `host:port`."""

    def deliver(self, consumer: "Consumer", delivery: "Delivery") -> None:
        """Send one entry."""

    def tell_active(self, consumer_id: int, *, active: bool) -> None:
        """Tell a Failover consumer whether it is the active one."""

    def close_consumer(self, consumer_id: int) -> None:
        """Make the client subscribe anew, with empty queues and fresh permits."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One entry on its way to a consumer."""

    topic_id: int
    partition: int
    entry: int
    data: bytes
    redeliveries: int
    ack_set: Sequence[int]


@dataclass(eq=False, slots=True)
class Consumer:
    """One consumer of a subscription; `pending` holds the entries that it has and has not acknowledged."""

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
    delivered: int = 0
    connected_since: float = field(default_factory=time.time)

    @property
    def ready(self) -> bool:
        """Whether the consumer wants an entry and can take it."""
        return self.permits > 0 and self.link.writable

    @property
    def unacknowledged(self) -> int:
        """How many messages are with the consumer."""
        return sum(self.pending.values())
