"""Commands of producers."""

import os
import struct
import time

from google.protobuf.message import DecodeError

from magnetar_broker.broker import Broker
from magnetar_broker.connection.gate import Gate
from magnetar_broker.connection.peer import Peer, code_of
from magnetar_broker.connection.publication import Publication
from magnetar_broker.connection.schemas import accept
from magnetar_broker.errors import (
    BrokerError,
    ChecksumMismatchError,
    MetadataError,
    NotAllowedError,
    QuotaExceededError,
    QuotaExceededExceptionError,
)
from magnetar_broker.policies import EVICTION, EXCEPTION
from magnetar_broker.topics.producers import Producer
from magnetar_broker.topics.topic import Topic
from magnetar_broker.wire.frames import MAX_MESSAGE_SIZE, is_damaged, metadata_of
from magnetar_broker.wire.proto.pulsar_api import BaseCommand, CommandProducer, CommandSend

_BATCH_LIMIT = 1_000_000


class ProducerHandlers:
    """Answers PRODUCER, SEND and CLOSE_PRODUCER."""

    def __init__(self, broker: Broker, gate: Gate) -> None:
        self._broker = broker
        self._gate = gate

    def create(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Create a producer, which may have to wait for exclusive access."""
        request = command.producer
        known = peer.producers.get(request.producer_id)
        if known is not None:
            # The client asks again for what it has: it gave the first request up too early.
            _tell(peer, request.request_id, *known, ready=known[0].producers.holds(known[1]))
            return
        try:
            self._gate.demand_produce(peer, request.topic, request.initial_subscription_name)
            topic = self._broker.get_or_create(request.topic)
            self._demand_room(topic)
            version = accept(topic, request.schema if request.HasField("schema") else None)
            producer = self._producer(peer, topic, request, version)
            if request.initial_subscription_name:
                topic.subscribe(request.initial_subscription_name, durable=True, start=topic.visible)
            now = topic.producers.add(producer)
        except BrokerError as error:
            peer.error(request.request_id, error)
            return
        peer.producers[producer.id] = (topic, producer)
        _tell(peer, request.request_id, topic, producer, ready=now)

    def _demand_room(self, topic: Topic) -> None:
        """Refuse a producer while its messages could not be kept."""
        if self._broker.journal.failure is not None and topic.keeps:
            raise self._broker.journal.failure
        policy = topic.policies.quota.policy
        if policy != EVICTION and topic.over_quota(time.time()):
            kind = QuotaExceededExceptionError if policy == EXCEPTION else QuotaExceededError
            raise kind("Cannot create producer on topic with backlog quota exceeded")

    def _producer(self, peer: Peer, topic: Topic, request: CommandProducer, version: bytes) -> Producer:
        return Producer(
            id=request.producer_id,
            name=request.producer_name or f"{os.uname().nodename}-{os.urandom(6).hex()}",
            link=peer,
            access=request.producer_access_mode,
            epoch=request.epoch,
            topic_epoch=request.topic_epoch if request.HasField("topic_epoch") else None,
            ready=lambda producer: _tell(peer, request.request_id, topic, producer, ready=True),
            metadata={pair.key: pair.value for pair in request.metadata},
            schema_version=version,
            chose_name=bool(request.producer_name) and request.user_provided_producer_name,
        )

    def send(self, peer: Peer, command: BaseCommand, rest: bytes) -> None:
        """Take a message or batch; it is appended with those that come right behind it, and receipted when it is durable."""
        request = command.send
        gathered = peer.gathered
        if gathered is None or gathered.producer_id != request.producer_id:
            peer.publish_gathered()
            known = peer.producers.get(request.producer_id)
            if known is None or not known[0].producers.holds(known[1]):
                # Fenced or closed a moment ago: the client hears of it by CLOSE_PRODUCER and sends again.
                return
            gathered = peer.gathered = Publication(self._broker, peer, *known)
        try:
            _demand_sound(request, rest)
        except BrokerError as error:
            _refuse(peer, request, error)
            return
        gathered.add(request, rest)

    def close(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Close a producer."""
        known = peer.producers.pop(command.close_producer.producer_id, None)
        if known is not None:
            topic, producer = known
            topic.producers.remove(producer)
        peer.success(command.close_producer.request_id)


def _tell(peer: Peer, request_id: int, topic: Topic, producer: Producer, *, ready: bool) -> None:
    answer = BaseCommand(type=BaseCommand.PRODUCER_SUCCESS)
    body = answer.producer_success
    body.request_id = request_id
    body.producer_name = producer.name
    body.last_sequence_id = topic.deduplication.last(producer.name) if topic.deduplication is not None else -1
    body.schema_version = producer.schema_version
    body.producer_ready = ready
    if producer.topic_epoch is not None:
        body.topic_epoch = producer.topic_epoch
    peer.send(answer)


def _demand_sound(request: CommandSend, entry: bytes) -> None:
    """Refuse what no consumer could read: it would come back to each of them for ever."""
    if request.txnid_most_bits or request.txnid_least_bits:
        raise NotAllowedError("this broker has no transactions")
    if not 0 < request.num_messages <= _BATCH_LIMIT:
        raise MetadataError(f"num_messages is {request.num_messages}; a batch has 1 to {_BATCH_LIMIT}")
    if len(entry) > MAX_MESSAGE_SIZE + 10 * 1024:
        raise NotAllowedError(f"Exceed maximum message size: {len(entry)} bytes; the limit is {MAX_MESSAGE_SIZE}")
    if is_damaged(entry):
        raise ChecksumMismatchError("the message was damaged on its way: its checksum is wrong")
    try:
        metadata_of(entry)
    except (DecodeError, struct.error) as error:
        raise MetadataError(f"the message's metadata can't be read: {error}") from None


def _refuse(peer: Peer, request: CommandSend, error: BrokerError) -> None:
    answer = BaseCommand(type=BaseCommand.SEND_ERROR)
    answer.send_error.producer_id = request.producer_id
    answer.send_error.sequence_id = request.sequence_id
    answer.send_error.error = code_of(error)
    answer.send_error.message = str(error)
    peer.send(answer)
