"""Messages of one producer that came together: appended at once, receipted at once."""

from magnetar_broker.broker import Broker
from magnetar_broker.connection.peer import Peer
from magnetar_broker.errors import StorageError
from magnetar_broker.topics.deduplication import Sequence
from magnetar_broker.topics.producers import Producer
from magnetar_broker.topics.topic import Topic, sequence_of
from magnetar_broker.wire.proto.pulsar_api import CommandSend

_NO_ENTRY = (1 << 64) - 1


class Publication:
    """Some messages on their way to the disk, and who waits for their receipts."""

    __slots__ = ("_broker", "_counts", "_entries", "_peer", "_producer", "_receipts", "_sequences", "_size", "_topic")

    def __init__(self, broker: Broker, peer: Peer, topic: Topic, producer: Producer) -> None:
        self._broker = broker
        self._peer = peer
        self._topic = topic
        self._producer = producer
        self._entries: list[bytes] = []
        self._counts: list[int] = []
        self._sequences: list[Sequence] = []
        self._receipts: list[tuple[int, int]] = []
        self._size = 0

    @property
    def producer_id(self) -> int:
        """The producer's number on its connection."""
        return self._producer.id

    def add(self, request: CommandSend, entry: bytes) -> None:
        """Add a message; one that came before is not taken again."""
        deduplication = self._topic.deduplication
        if deduplication is not None:
            sequence = sequence_of(entry)
            if not deduplication.take(sequence):
                self._repeat(request)
                return
            self._sequences.append(sequence)
        self._entries.append(entry)
        self._counts.append(request.num_messages)
        self._receipts.append((request.sequence_id, request.highest_sequence_id))
        self._size += len(entry)

    def _repeat(self, request: CommandSend) -> None:
        """Receipt a message that came before in its turn: whether it is durable, the end of what is on its way tells."""
        self._peer.publish_gathered()
        self._broker.journal.barrier(_Repeated(self, (request.sequence_id, request.highest_sequence_id)))

    def publish(self) -> None:
        """Append what has gathered."""
        if not self._entries:
            return
        self._peer.receive(self._size)
        try:
            self._topic.publish(self._entries, self._counts, self, self._sequences)
        except StorageError as error:
            self.refused(error)
            return
        self._producer.sent.messages += sum(self._counts)
        self._producer.sent.bytes += self._size

    def receipted(self, first: int) -> None:
        """Tell the producer that its messages are durable, as the entries from `first` on."""
        self._peer.committed(self._size)
        self._peer.send_receipts(self._producer.id, self._topic.id, first, self._receipts)

    def refused(self, error: StorageError) -> None:
        """Take note that the messages are lost."""
        del error
        self._peer.committed(self._size)
        self.close_producer()

    def repeated(self, receipt: tuple[int, int]) -> None:
        """Tell the producer that a message was durable before."""
        self._peer.send_receipts(self._producer.id, _NO_ENTRY, _NO_ENTRY, [receipt])

    def close_producer(self) -> None:
        """Close the producer: its client makes it anew and sends again, and hears the cause while it goes on."""
        if self._topic.producers.holds(self._producer):
            self._topic.producers.remove(self._producer)
            self._peer.close_producer(self._producer.id)


class _Repeated:
    """A message that came before; its receipt waits for the first one's."""

    def __init__(self, publication: Publication, receipt: tuple[int, int]) -> None:
        self._publication = publication
        self._receipt = receipt

    def durable(self) -> None:
        self._publication.repeated(self._receipt)

    def failed(self, error: StorageError) -> None:
        del error
        self._publication.close_producer()
