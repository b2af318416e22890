"""Exclusive and Failover: one consumer gets everything, in order."""

from collections.abc import Iterable

from magnetar_broker.errors import ConsumerBusyError
from magnetar_broker.topics.consumer import Consumer
from magnetar_broker.topics.dispatch import EXCLUSIVE, FAILOVER, Source


class SingleDispatcher:
    """Dispatches to one active consumer; with Failover the others wait for its place.

    The active one has the lowest priority number; among equals it is the first that came, or on partition n of a
    partitioned topic the n-th by name, so that partitions spread over consumers (as Pulsar does).
    """

    __slots__ = ("_active", "_consumers", "_position", "_source", "kind")

    def __init__(self, source: Source, kind: int) -> None:
        self.kind = kind
        self._source = source
        self._consumers: list[Consumer] = []
        self._active: Consumer | None = None
        self._position = source.mark

    @property
    def active(self) -> Consumer | None:
        """The consumer that gets the entries."""
        return self._active

    def add(self, consumer: Consumer) -> None:
        """Take a consumer in."""
        if self.kind == EXCLUSIVE and self._consumers:
            raise ConsumerBusyError("Exclusive consumer is already connected")
        self._consumers.append(consumer)
        self._choose(consumer)

    def remove(self, consumer: Consumer) -> None:
        """Let a consumer go, and if it was active let another one take over at the mark."""
        if consumer in self._consumers:
            self._consumers.remove(consumer)
        if consumer is self._active:
            self._active = None
        self._choose(None)

    def _choose(self, newcomer: Consumer | None) -> None:
        chosen = self._best()
        if chosen is not self._active:
            self._active = chosen
            self.reset()
            for consumer in self._consumers:
                self._tell(consumer)
        elif newcomer is not None:
            self._tell(newcomer)

    def _best(self) -> Consumer | None:
        if not self._consumers:
            return None
        level = min(consumer.priority for consumer in self._consumers)
        candidates = [consumer for consumer in self._consumers if consumer.priority == level]
        if self._source.partition < 0:
            return candidates[0]
        return sorted(candidates, key=lambda consumer: consumer.name)[self._source.partition % len(candidates)]

    def _tell(self, consumer: Consumer) -> None:
        if self.kind == FAILOVER:
            consumer.link.tell_active(consumer.id, active=consumer is self._active)

    def redeliver(self, consumer: Consumer, entries: Iterable[int] | None) -> None:
        """Go back to the mark: order allows no single entry to be delivered again."""
        del entries
        if consumer is self._active:
            self.reset()

    def acknowledged(self, entry: int, consumer: Consumer | None) -> None:
        """Nothing is kept of single entries."""

    def acknowledged_before(self, entry: int) -> None:
        """Nothing is kept of single entries."""

    def reset(self) -> None:
        """Begin again at the mark."""
        self._position = self._source.mark

    def dispatch(self) -> None:
        """Send entries in order while the active consumer has permits."""
        consumer = self._active
        while consumer is not None and consumer.ready:
            run = self._source.next_run(self._position, compacted=consumer.read_compacted)
            if run is None:
                return
            self._position, _ = self._source.deliver_some(consumer, *run, consumer.permits)

    def close(self) -> None:
        """Nothing is timed here."""
