"""Commands of consumers and readers."""

import os
import time
from datetime import UTC, datetime

from magnetar_broker.broker import Broker
from magnetar_broker.connection.gate import Gate
from magnetar_broker.connection.peer import Peer, code_of
from magnetar_broker.connection.schemas import accept
from magnetar_broker.errors import BrokerError, ConsumerMissingError, InvalidError, NotAllowedError
from magnetar_broker.topics.compaction import last_live
from magnetar_broker.topics.consumer import Consumer
from magnetar_broker.topics.subscription import Subscription
from magnetar_broker.topics.topic import Topic
from magnetar_broker.wire.frames import metadata_of
from magnetar_broker.wire.proto.pulsar_api import BaseCommand, CommandAck, CommandSubscribe, MessageIdData

_EARLIEST_INITIAL = 1
_CUMULATIVE = 1
_END = 1 << 63
_MAXIMUM = (1 << 64) - 1
_PERMITS_LIMIT = 1 << 31
_WORDS_LIMIT = 1_000_000 // 64 + 1


class ConsumerHandlers:
    """Answers SUBSCRIBE and all that a consumer says afterwards."""

    def __init__(self, broker: Broker, gate: Gate) -> None:
        self._broker = broker
        self._gate = gate

    def subscribe(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Add a consumer to a subscription, which is made where there is none."""
        request = command.subscribe
        try:
            if request.consumer_id in peer.consumers:
                peer.drop_consumer(request.consumer_id)
            if not request.subscription:
                raise InvalidError("Empty subscription name")
            self._gate.demand_consume(peer, request.topic, request.subscription)
            topic = self._topic(request)
            if request.HasField("schema"):
                accept(topic, request.schema)
            subscription = topic.subscribe(
                request.subscription,
                durable=request.durable,
                start=_start(topic, request),
                properties={pair.key: pair.value for pair in request.subscription_properties},
            )
            consumer = _consumer(peer, request)
            subscription.add(consumer)
        except BrokerError as error:
            peer.error(request.request_id, error)
            return
        peer.consumers[request.consumer_id] = (topic, subscription, consumer)
        # A subscription that its client was told of holds messages back: it must outlive a crash.
        peer.success_when_durable(self._broker.journal, request.request_id)

    def _topic(self, request: CommandSubscribe) -> Topic:
        if request.force_topic_creation:
            return self._broker.get_or_create(request.topic)
        return self._broker.get(request.topic)

    def flow(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Let a consumer have more messages."""
        known = peer.consumers.get(command.flow.consumer_id)
        if known is not None:
            known[2].permits = min(known[2].permits + command.flow.messagePermits, _PERMITS_LIMIT)
            known[1].dispatch()

    def acknowledge(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Acknowledge entries, or messages of a batch; answered only where the client asks."""
        request = command.ack
        problem: BrokerError | None = None
        known = peer.consumers.get(request.consumer_id)
        if request.txnid_most_bits or request.txnid_least_bits:
            problem = NotAllowedError("this broker has no transactions")
        elif known is None:
            problem = ConsumerMissingError(f"consumer {request.consumer_id} is not connected")
        else:
            _acknowledge(*known, request)
        if request.HasField("request_id"):
            answer = BaseCommand(type=BaseCommand.ACK_RESPONSE)
            answer.ackResponse.consumer_id = request.consumer_id
            answer.ackResponse.request_id = request.request_id
            if problem is not None:
                answer.ackResponse.error = code_of(problem)
                answer.ackResponse.message = str(problem)
            peer.send(answer)

    def redeliver(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Deliver again what a consumer names, or all that it has."""
        request = command.redeliverUnacknowledgedMessages
        known = peer.consumers.get(request.consumer_id)
        if known is None:
            return
        if request.HasField("consumer_epoch"):
            known[2].epoch = request.consumer_epoch
        entries = [message_id.entryId for message_id in request.message_ids]
        known[1].redeliver(known[2], entries or None)

    def unsubscribe(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Delete a subscription whose only consumer asks for it."""
        request = command.unsubscribe
        try:
            topic, subscription, consumer = _known(peer, request.consumer_id)
            peer.consumers.pop(request.consumer_id)
            subscription.remove(consumer)
            topic.unsubscribe(subscription.name, force=request.force)
        except BrokerError as error:
            peer.error(request.request_id, error)
            return
        peer.success_when_durable(self._broker.journal, request.request_id)

    def seek(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Put a subscription's cursor elsewhere; every consumer is closed and subscribes anew with empty queues."""
        request = command.seek
        try:
            topic, subscription, consumer = _known(peer, request.consumer_id)
            if request.HasField("message_publish_time"):
                entry = topic.entry_at_time(request.message_publish_time)
            else:
                entry = _position(topic, request.message_id, compacted=consumer.read_compacted)
        except BrokerError as error:
            peer.error(request.request_id, error)
            return
        subscription.seek(entry)
        peer.success(request.request_id)

    def close(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Close a consumer."""
        if command.close_consumer.consumer_id in peer.consumers:
            peer.drop_consumer(command.close_consumer.consumer_id)
        peer.success(command.close_consumer.request_id)

    def last_message_id(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Tell the last message of a consumer's topic, and how far its subscription has come."""
        request = command.getLastMessageId
        try:
            topic, subscription, consumer = _known(peer, request.consumer_id)
        except BrokerError as error:
            peer.error(request.request_id, error)
            return
        answer = BaseCommand(type=BaseCommand.GET_LAST_MESSAGE_ID_RESPONSE)
        body = answer.getLastMessageIdResponse
        body.request_id = request.request_id
        _set_id(body.consumer_mark_delete_position, topic, subscription.mark - 1)
        last = topic.last(compacted=consumer.read_compacted)
        _set_id(body.last_message_id, topic, last)
        if last >= 0:
            words = topic.compacted.words.get(last) if consumer.read_compacted else None
            body.last_message_id.batch_index = last_live(words) if words else last_index(topic, last)
        peer.send(answer)

    def stats(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Tell a consumer's figures."""
        answer = BaseCommand(type=BaseCommand.CONSUMER_STATS_RESPONSE)
        body = answer.consumerStatsResponse
        body.request_id = command.consumerStats.request_id
        try:
            _topic, subscription, consumer = _known(peer, command.consumerStats.consumer_id)
        except BrokerError as error:
            peer.error(command.consumerStats.request_id, error)
            return
        body.consumerName, body.address = consumer.name, peer.address
        body.availablePermits = max(consumer.permits, 0)
        body.unackedMessages = consumer.unacknowledged
        body.connectedSince = datetime.fromtimestamp(consumer.connected_since, UTC).isoformat()
        body.type = subscription.kind_name or ""
        body.msgBacklog = subscription.backlog
        body.blockedConsumerOnUnackedMsgs = consumer.blocked
        body.msgRateOut = consumer.sent.messages / max(time.time() - consumer.connected_since, 1.0)
        peer.send(answer)


def _known(peer: Peer, consumer_id: int) -> tuple[Topic, Subscription, Consumer]:
    known = peer.consumers.get(consumer_id)
    if known is None:
        raise ConsumerMissingError(f"consumer {consumer_id} is not connected")
    return known


def _consumer(peer: Peer, request: CommandSubscribe) -> Consumer:
    return Consumer(
        id=request.consumer_id,
        name=request.consumer_name or os.urandom(3).hex(),
        link=peer,
        kind=request.subType,
        priority=request.priority_level,
        epoch=request.consumer_epoch if request.HasField("consumer_epoch") else None,
        metadata={pair.key: pair.value for pair in request.metadata},
        read_compacted=request.read_compacted,
        key_ranges=tuple((each.start, each.end) for each in request.keySharedMeta.hashRanges),
    )


def _acknowledge(topic: Topic, subscription: Subscription, consumer: Consumer, request: CommandAck) -> None:
    for message_id in request.message_id:
        if message_id.ledgerId != topic.id or len(message_id.ack_set) > _WORDS_LIMIT:
            continue
        if request.ack_type == _CUMULATIVE:
            subscription.acknowledge_through(message_id.entryId, message_id.ack_set)
        else:
            subscription.acknowledge(message_id.entryId, message_id.ack_set, consumer)
    subscription.dispatch()


def _start(topic: Topic, request: CommandSubscribe) -> int:
    """Return the entry at which a new subscription begins."""
    if request.start_message_rollback_duration_sec:
        return topic.entry_at_time(int((time.time() - request.start_message_rollback_duration_sec) * 1000))
    compacted = request.read_compacted
    if request.HasField("start_message_id"):
        # The entry itself comes too: clients skip what they have had, and of a batch that may be a part.
        return _position(topic, request.start_message_id, compacted=compacted)
    return topic.earliest(compacted=compacted) if request.initialPosition == _EARLIEST_INITIAL else topic.visible


def _position(topic: Topic, message_id: MessageIdData, *, compacted: bool) -> int:
    """Return the entry that an id names, within what is there; the sentinels are earliest and latest."""
    earliest = topic.earliest(compacted=compacted)
    if message_id.entryId == _MAXIMUM or message_id.ledgerId < topic.id:
        return earliest
    if message_id.entryId >= _END - 1 or message_id.ledgerId > topic.id:
        return topic.visible
    return min(max(message_id.entryId, earliest), topic.visible)


def last_index(topic: Topic, entry: int) -> int:
    """Return the index of an entry's last message, -1 when it is no batch."""
    metadata = metadata_of(topic.message(entry))
    return metadata.num_messages_in_batch - 1 if metadata.HasField("num_messages_in_batch") else -1


def _set_id(target: MessageIdData, topic: Topic, entry: int) -> None:
    target.ledgerId = topic.id
    target.entryId = entry if entry >= 0 else _MAXIMUM
    target.partition = topic.partition
    target.batch_index = -1
