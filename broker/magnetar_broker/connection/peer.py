"""One client's connection: bytes in, frames to the handlers, frames out in one write per turn of the loop."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from google.protobuf.message import DecodeError

from magnetar_broker.auth.authenticator import Certificate, Identity
from magnetar_broker.errors import BrokerError, NotAllowedError, StorageError
from magnetar_broker.store.journal import Journal
from magnetar_broker.topics.consumer import Consumer, Delivery
from magnetar_broker.topics.producers import Producer
from magnetar_broker.topics.subscription import Subscription
from magnetar_broker.topics.topic import Topic
from magnetar_broker.wire.frames import FrameError, FrameReader, command_frame, message_frame_head, parse_command
from magnetar_broker.wire.proto import pulsar_api
from magnetar_broker.wire.proto.pulsar_api import BaseCommand, CommandSend

logger = logging.getLogger(__name__)

_HIGH_WATER = 512 * 1024
_UNREAD_LIMIT = 8 * 1024 * 1024
_PENDING_LIMIT = 32 * 1024 * 1024
_NO_REQUEST = (1 << 64) - 1
_SEND = BaseCommand.SEND

Handler = Callable[["Peer", BaseCommand, bytes], None]


class Gathered(Protocol):
    """Messages of one producer that came one right behind the other."""

    @property
    def producer_id(self) -> int:
        """The producer's number."""

    def add(self, request: CommandSend, entry: bytes) -> None:
        """Add a message."""

    def publish(self) -> None:
        """Append them."""


class Peer(asyncio.Protocol):
    """A connection's state: its producers and consumers by the client's numbers.

    `handlers` maps a command's type to what answers it; `gone` is called when the connection has ended.
    """

    def __init__(self, handlers: Mapping[int, Handler], gone: Callable[["Peer"], None]) -> None:
        self.producers: dict[int, tuple[Topic, Producer]] = {}
        self.consumers: dict[int, tuple[Topic, Subscription, Consumer]] = {}
        self.address = ""
        self.local = ("127.0.0.1", 0)
        self.certificate: Certificate | None = None
        self.identity: Identity | None = None
        self.connected = False
        self.takes_challenges = False
        self.challenged = False
        self.writable = True
        self.gathered: Gathered | None = None
        self._handlers = handlers
        self._gone = gone
        self._reader = FrameReader()
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self._uncommitted = 0
        self._gathered = 0
        self._flushing = False
        self._heard = True
        self._pinged = False
        self._not_read_for: set[str] = set()
        self._message = BaseCommand(type=BaseCommand.MESSAGE)
        self._receipt = BaseCommand(type=BaseCommand.SEND_RECEIPT)

    # asyncio's protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the addresses."""
        assert isinstance(transport, asyncio.Transport)
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        self._transport = transport
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self.address = f"{peer[0]}:{peer[1]}" if peer else ""
        self.local = (str(local[0]), int(local[1])) if local else self.local
        self.certificate = transport.get_extra_info("peercert")

    def data_received(self, data: bytes) -> None:
        """Handle every complete frame."""
        self._heard = True
        try:
            self._take(data)
        except (FrameError, DecodeError) as error:
            logger.info("%s sent what is not Pulsar's protocol and is disconnected: %s", self.address, error)
            self.close()

    def _take(self, data: bytes) -> None:
        send = self._handlers[_SEND]
        try:
            for command_bytes, rest in self._reader.feed(data):
                command = parse_command(command_bytes)
                if command.type == _SEND and self.connected:
                    send(self, command, rest)
                    continue
                self.publish_gathered()
                self._handle(command, rest)
                if self._transport is None or self._transport.is_closing():
                    return
        finally:
            self.publish_gathered()

    def publish_gathered(self) -> None:
        """Publish the messages that came one right behind the other: together they cost less."""
        gathered, self.gathered = self.gathered, None
        if gathered is not None:
            gathered.publish()

    def _handle(self, command: BaseCommand, rest: bytes) -> None:
        if not self.connected and command.type != BaseCommand.CONNECT:
            raise FrameError("the first command must be CONNECT")
        handler = self._handlers.get(command.type)
        if handler is not None:
            handler(self, command, rest)
            return
        request_id = _request_id(command)
        if request_id is not None:
            name = BaseCommand.Type.Name(command.type)
            self.error(request_id, NotAllowedError(f"this broker does not answer {name}"))

    def pause_writing(self) -> None:
        """Stop dispatching: the client does not read as fast as it asks."""
        self.writable = False

    def resume_writing(self) -> None:
        """Dispatch again."""
        self.writable = True
        self._read_again("unread answers")
        for subscription in {each[1] for each in self.consumers.values()}:
            subscription.dispatch()

    def connection_lost(self, _: Exception | None) -> None:
        """Let go of everything that the client had."""
        self._transport = None
        for topic, producer in self.producers.values():
            topic.producers.remove(producer)
        self.producers.clear()
        for consumer_id in list(self.consumers):
            self.drop_consumer(consumer_id)
        self._gone(self)

    def check_alive(self) -> None:
        """Ask a silent client whether it lives; end the connection of one that does not answer until the next time.

        One that has not said who it is yet has as long: it may have connected a moment ago.
        """
        if self._transport is None or self._not_read_for:
            return
        if self._heard and self.connected:
            self._heard = self._pinged = False
        elif self._pinged:
            logger.info("%s does not answer and is disconnected", self.address)
            self._transport.abort()
        else:
            self._pinged = True
            if self.connected:
                command = BaseCommand(type=BaseCommand.PING)
                command.ping.SetInParent()
                self.send(command)

    def _stop_reading(self, reason: str) -> None:
        if self._transport is not None and not self._not_read_for:
            self._transport.pause_reading()
        self._not_read_for.add(reason)

    def _read_again(self, reason: str) -> None:
        if reason in self._not_read_for:
            self._not_read_for.remove(reason)
            if self._transport is not None and not self._not_read_for:
                self._heard = True
                self._transport.resume_reading()

    def drop_consumer(self, consumer_id: int) -> None:
        """Let a consumer go; a subscription that is not durable goes with its last one."""
        topic, subscription, consumer = self.consumers.pop(consumer_id)
        subscription.remove(consumer)
        unused = not subscription.durable and not subscription.consumers
        if unused and topic.subscriptions.get(subscription.name) is subscription:
            topic.unsubscribe(subscription.name, force=True)

    # Out.

    def send(self, command: BaseCommand) -> None:
        """Send a command."""
        self._write(command_frame(command))

    def error(self, request_id: int, error: BrokerError) -> None:
        """Answer a request with an error: a closed connection would make the client come again and again."""
        command = BaseCommand(type=BaseCommand.ERROR)
        command.error.request_id = request_id
        command.error.error = code_of(error)
        command.error.message = str(error)
        self.send(command)

    def success_when_durable(self, journal: Journal, request_id: int) -> None:
        """Answer a request once all that it changed is on disk."""
        journal.barrier(_Success(self, request_id))

    def success(self, request_id: int) -> None:
        """Answer a request that has no answer of its own."""
        command = BaseCommand(type=BaseCommand.SUCCESS)
        command.success.request_id = request_id
        self.send(command)

    def _write(self, *parts: bytes) -> None:
        if self._transport is None:
            return
        if not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._end_turn)
        self._out.extend(parts)

    def _end_turn(self) -> None:
        self._flushing = False
        self._flush()

    def _flush(self) -> None:
        out, self._out = self._out, []
        self._gathered = 0
        if out and self._transport is not None:
            self._transport.write(b"".join(out))
            if self._transport.get_write_buffer_size() > _UNREAD_LIMIT:
                # Messages stop at the high water mark; answers go on, and this is where a client must read them.
                self._stop_reading("unread answers")

    def close(self) -> None:
        """Close the connection after what is to be written."""
        if self._transport is not None:
            self._flush()
            self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def refuse(self, error: BrokerError) -> None:
        """Tell why the client may not connect, and close the connection."""
        self.error(_NO_REQUEST, error)
        self.close()

    # What topics ask for.

    def receive(self, size: int) -> None:
        """Count bytes on their way to the disk; a client that is faster than the disk is not read for a while."""
        self._uncommitted += size
        if self._uncommitted > _PENDING_LIMIT:
            self._stop_reading("the disk")

    def committed(self, size: int) -> None:
        """Count bytes that have reached the disk."""
        self._uncommitted -= size
        if self._uncommitted <= _PENDING_LIMIT:
            self._read_again("the disk")

    def send_receipts(self, producer_id: int, topic_id: int, first: int, receipts: Iterable[tuple[int, int]]) -> None:
        """Tell a producer that its messages are durable, by their sequence ids and highest ones, from an entry on."""
        receipt = self._receipt.send_receipt
        message_id = receipt.message_id
        receipt.producer_id, message_id.ledgerId = producer_id, topic_id
        frames = []
        for entry, (sequence_id, highest) in enumerate(receipts, first):
            receipt.sequence_id, receipt.highest_sequence_id = sequence_id, highest
            message_id.entryId = entry
            frames.append(command_frame(self._receipt))
        self._write(*frames)

    def deliver(self, consumer: Consumer, delivery: Delivery) -> None:
        """Send neighbouring entries to a consumer."""
        message = self._message.message
        message.Clear()
        message.consumer_id = consumer.id
        message_id = message.message_id
        message_id.ledgerId, message_id.partition = delivery.topic_id, delivery.partition
        if delivery.redeliveries:
            message.redelivery_count = delivery.redeliveries
        if delivery.ack_set:
            message.ack_set.extend(delivery.ack_set)
        if consumer.epoch is not None:
            message.consumer_epoch = consumer.epoch
        frames = []
        for entry, data in enumerate(delivery.entries, delivery.first):
            message_id.entryId = entry
            frames.append(message_frame_head(self._message.SerializeToString(), len(data)))
            frames.append(data)
            self._gathered += len(data)
        self._write(*frames)
        # The transport sees what waits in this turn only when it ends: without this a turn could fill the memory.
        if self._gathered > _HIGH_WATER:
            self._flush()

    def tell_active(self, consumer_id: int, *, active: bool) -> None:
        """Tell a Failover consumer whether it is the active one."""
        command = BaseCommand(type=BaseCommand.ACTIVE_CONSUMER_CHANGE)
        command.active_consumer_change.consumer_id = consumer_id
        command.active_consumer_change.is_active = active
        self.send(command)

    def close_consumer(self, consumer_id: int) -> None:
        """Make the client subscribe anew."""
        self.consumers.pop(consumer_id, None)
        command = BaseCommand(type=BaseCommand.CLOSE_CONSUMER)
        command.close_consumer.consumer_id = consumer_id
        command.close_consumer.request_id = 0
        self.send(command)

    def close_producer(self, producer_id: int) -> None:
        """Tell the client that its producer was closed."""
        self.producers.pop(producer_id, None)
        command = BaseCommand(type=BaseCommand.CLOSE_PRODUCER)
        command.close_producer.producer_id = producer_id
        command.close_producer.request_id = 0
        self.send(command)


class _Success:
    """A request that waits for the disk."""

    def __init__(self, peer: Peer, request_id: int) -> None:
        self._peer = peer
        self._request_id = request_id

    def durable(self) -> None:
        self._peer.success(self._request_id)

    def failed(self, error: StorageError) -> None:
        self._peer.error(self._request_id, error)


def _request_id(command: BaseCommand) -> int | None:
    for _, body in command.ListFields():
        number = getattr(body, "request_id", None)
        if isinstance(number, int):
            return number
    return None


def code_of(error: BrokerError) -> "pulsar_api.ServerError":
    """Return the protocol's number of an error."""
    code: pulsar_api.ServerError = getattr(pulsar_api, error.code)
    return code
