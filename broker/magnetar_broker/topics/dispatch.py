"""What every way of dispatching has in common: the source of entries, and what is asked of a dispatcher."""

from collections.abc import Iterable
from typing import Protocol

from magnetar_broker.topics.consumer import Consumer
from magnetar_broker.wire.proto.pulsar_api import MessageMetadata

EXCLUSIVE, SHARED, FAILOVER, KEY_SHARED = range(4)
KIND_NAMES = ("Exclusive", "Shared", "Failover", "Key_Shared")
UNACKNOWLEDGED_LIMIT = 200_000


class Source(Protocol):
    """The subscription's entries as a dispatcher reads them."""

    @property
    def mark(self) -> int:
        """The first entry that is not acknowledged."""

    @property
    def partition(self) -> int:
        """The number of the topic's partition, -1 when it is none."""

    def next_from(self, position: int, *, compacted: bool) -> int | None:
        """Return the first deliverable entry at or after a position, None when there is none yet."""

    def next_run(self, position: int, *, compacted: bool) -> tuple[int, int] | None:
        """Return the first deliverable entry at or after a position, and an end before which all are deliverable."""

    def done(self, entry: int) -> bool:
        """Whether an entry is acknowledged."""

    def deliver(self, consumer: Consumer, entry: int, redeliveries: int) -> int:
        """Send an entry, which costs permits; returns how many messages it held, 0 when it turned out to be lost."""

    def deliver_some(
        self, consumer: Consumer, start: int, end: int, messages: int, *, delayed: bool = True
    ) -> tuple[int, list[int]]:
        """Send entries of a run for the first time, enough to hold some messages if so many are.

        Returns where the next one is, and the counts of those that were sent. Without `delayed` it stops at the first that
        may have to wait.
        """

    def metadata(self, entry: int) -> MessageMetadata | None:
        """Return an entry's metadata, None when it turned out to be lost."""

    def may_be_delayed(self, entry: int) -> bool:
        """Whether an entry's metadata may say when it is to be delivered: a guess that costs no parsing."""


class Dispatcher(Protocol):
    """Decides which consumer gets which entry."""

    kind: int

    @property
    def active(self) -> Consumer | None:
        """The consumer that alone gets entries, where there is such a one."""

    def add(self, consumer: Consumer) -> None:
        """Take a consumer in; raises ConsumerBusyError when that is not possible."""

    def remove(self, consumer: Consumer) -> None:
        """Let a consumer go; what it had is delivered again."""

    def redeliver(self, consumer: Consumer, entries: Iterable[int] | None) -> None:
        """Deliver again what a consumer has: some entries, or all."""

    def acknowledged(self, entry: int, consumer: Consumer | None) -> None:
        """Forget an entry that is acknowledged, by `consumer` where one did it."""

    def acknowledged_before(self, entry: int) -> None:
        """Forget all entries before one."""

    def reset(self) -> None:
        """Begin again at the mark."""

    def dispatch(self) -> None:
        """Send what can be sent."""

    def close(self) -> None:
        """Cancel timers."""
