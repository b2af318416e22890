"""Commands of producers."""

import os
from functools import partial

import crc32c

from magnetar_broker.broker import Broker
from magnetar_broker.connection.peer import Peer, code_of
from magnetar_broker.connection.schemas import from_wire
from magnetar_broker.errors import BrokerError, InvalidError
from magnetar_broker.topics.producers import Producer
from magnetar_broker.topics.topic import Topic
from magnetar_broker.wire.frames import checksum_of
from magnetar_broker.wire.proto.pulsar_api import BaseCommand, CommandProducer, CommandSend


class ProducerHandlers:
    """Answers PRODUCER, SEND and CLOSE_PRODUCER."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def create(self, peer: Peer, command: BaseCommand, _: memoryview) -> None:
        """Create a producer, which may have to wait for exclusive access."""
        request = command.producer
        try:
            topic = self._broker.get_or_create(request.topic)
            version, fresh = topic.schemas.accept(from_wire(request.schema) if request.HasField("schema") else None)
            if fresh:
                self._broker.save_schemas(topic)
            producer = self._producer(peer, request, version)
            if request.initial_subscription_name:
                topic.subscribe(request.initial_subscription_name, durable=True, start=topic.visible)
            peer.producers[producer.id] = (topic, producer)
            now = topic.producers.add(producer)
        except BrokerError as error:
            peer.producers.pop(request.producer_id, None)
            peer.error(request.request_id, error)
            return
        _tell(peer, request.request_id, producer, ready=now)

    def _producer(self, peer: Peer, request: CommandProducer, version: bytes) -> Producer:
        return Producer(
            id=request.producer_id,
            name=request.producer_name or f"{os.uname().nodename}-{os.urandom(6).hex()}",
            link=peer,
            access=request.producer_access_mode,
            epoch=request.epoch,
            topic_epoch=request.topic_epoch if request.HasField("topic_epoch") else None,
            ready=lambda producer: _tell(peer, request.request_id, producer, ready=True),
            metadata={pair.key: pair.value for pair in request.metadata},
            schema_version=version,
        )

    def send(self, peer: Peer, command: BaseCommand, rest: memoryview) -> None:
        """Append a message or batch; it is receipted when it is durable."""
        request = command.send
        known = peer.producers.get(request.producer_id)
        if known is None:
            # Fenced or closed a moment ago: the client hears of it by CLOSE_PRODUCER and sends again.
            return
        topic, producer = known
        entry = bytes(rest)
        try:
            _demand_sound(request, entry)
            done = partial(self._durable, peer, topic, request.producer_id, request.sequence_id, len(entry))
            topic.publish(entry, request.num_messages, partial(done, request.highest_sequence_id))
        except BrokerError as error:
            _refuse(peer, request, error)
            return
        peer.receive(len(entry))
        producer.messages += request.num_messages
        producer.bytes += len(entry)

    def _durable(
        self, peer: Peer, topic: Topic, producer_id: int, sequence_id: int, size: int, highest: int, entry: int
    ) -> None:
        peer.committed(size)
        peer.send_receipt(producer_id, sequence_id, highest, topic, entry)
        topic.dispatch_soon()

    def close(self, peer: Peer, command: BaseCommand, _: memoryview) -> None:
        """Close a producer."""
        known = peer.producers.pop(command.close_producer.producer_id, None)
        if known is not None:
            topic, producer = known
            topic.producers.remove(producer)
        peer.success(command.close_producer.request_id)


def _tell(peer: Peer, request_id: int, producer: Producer, *, ready: bool) -> None:
    answer = BaseCommand(type=BaseCommand.PRODUCER_SUCCESS)
    body = answer.producer_success
    body.request_id = request_id
    body.producer_name = producer.name
    body.last_sequence_id = -1
    body.schema_version = producer.schema_version
    body.producer_ready = ready
    if producer.topic_epoch is not None:
        body.topic_epoch = producer.topic_epoch
    peer.send(answer)


def _demand_sound(request: CommandSend, entry: bytes) -> None:
    if request.txnid_most_bits or request.txnid_least_bits:
        raise InvalidError("this broker has no transactions")
    checked = checksum_of(entry)
    if checked is not None and crc32c.crc32c(checked[1]) != checked[0]:
        raise ChecksumMismatchError("the message was damaged on its way: its checksum is wrong")


class ChecksumMismatchError(BrokerError):
    """Raised when a message is not what its producer sent."""

    code = "ChecksumError"
    status = 400


def _refuse(peer: Peer, request: CommandSend, error: BrokerError) -> None:
    answer = BaseCommand(type=BaseCommand.SEND_ERROR)
    answer.send_error.producer_id = request.producer_id
    answer.send_error.sequence_id = request.sequence_id
    answer.send_error.error = code_of(error)
    answer.send_error.message = str(error)
    peer.send(answer)
