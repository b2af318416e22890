"""A connection to a broker in the same process, without a socket: bytes in, commands out."""

import asyncio
import struct
from pathlib import Path
from typing import Any

import crc32c
from magnetar_broker.broker import Broker
from magnetar_broker.connection.peer import Peer
from magnetar_broker.connection.service import PulsarService
from magnetar_broker.errors import StorageError
from magnetar_broker.settings import BrokerSettings
from magnetar_broker.topics.topic import Topic
from magnetar_broker.wire.frames import FrameReader, command_frame
from magnetar_broker.wire.proto.pulsar_api import BaseCommand, MessageMetadata

SETTINGS = BrokerSettings(reclaim_interval=3600, cursor_interval=0.01)


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and can be one that nobody reads."""

    def __init__(self, *, read: bool = True) -> None:
        super().__init__()
        self.written = bytearray()
        self.closed = False
        self.reading = True
        self._read = read
        self._high = 64 * 1024
        self._peer: Peer | None = None

    def attach(self, peer: Peer) -> None:
        self._peer = peer
        peer.connection_made(self)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)}.get(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = high or self._high

    def get_write_buffer_size(self) -> int:
        return 0 if self._read else len(self.written)

    def write(self, data: Any) -> None:
        self.written += data
        if not self._read and len(self.written) > self._high and self._peer is not None:
            self._peer.pause_writing()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed and self._peer is not None:
            self.closed = True
            self._peer.connection_lost(None)

    def abort(self) -> None:
        self.close()

    def commands(self) -> list[BaseCommand]:
        """Return the commands that were written since this was last asked."""
        found = [BaseCommand.FromString(bytes(command)) for command, _ in FrameReader().feed(bytes(self.written))]
        self.written.clear()
        return found


def connected(service: PulsarService, *, read: bool = True) -> tuple[Peer, Wire]:
    """Return a greeted connection and its other end."""
    peer, wire = service._peer(), Wire(read=read)
    wire.attach(peer)
    peer.data_received(hello())
    return peer, wire


def hello() -> bytes:
    command = BaseCommand(type=BaseCommand.CONNECT)
    command.connect.client_version = "test"
    command.connect.protocol_version = 20
    return command_frame(command)


def subscribe(topic: str = "t", name: str = "s", *, kind: int = 0, consumer: int = 0, request: int = 1) -> bytes:
    command = BaseCommand(type=BaseCommand.SUBSCRIBE)
    body = command.subscribe
    body.topic, body.subscription, body.subType = topic, name, kind
    body.consumer_id, body.request_id, body.initialPosition = consumer, request, 1
    return command_frame(command)


def produce(topic: str = "t", producer: int = 0, request: int = 2) -> bytes:
    command = BaseCommand(type=BaseCommand.PRODUCER)
    command.producer.topic, command.producer.producer_id, command.producer.request_id = topic, producer, request
    return command_frame(command)


def flow(permits: int, consumer: int = 0) -> bytes:
    command = BaseCommand(type=BaseCommand.FLOW)
    command.flow.consumer_id, command.flow.messagePermits = consumer, permits
    return command_frame(command)


def ping() -> bytes:
    command = BaseCommand(type=BaseCommand.PING)
    command.ping.SetInParent()
    return command_frame(command)


def send(
    sequence: int,
    payload: bytes = b"x",
    *,
    producer: int = 0,
    count: int = 1,
    checksum: int | None = None,
    metadata: bytes | None = None,
) -> bytes:
    command = BaseCommand(type=BaseCommand.SEND)
    command.send.producer_id, command.send.sequence_id, command.send.num_messages = producer, sequence, count
    encoded = command.SerializeToString()
    if metadata is None:
        metadata = MessageMetadata(producer_name="p", sequence_id=sequence, publish_time=1).SerializeToString()
    body = struct.pack(">I", len(metadata)) + metadata + payload
    rest = b"\x0e\x01" + struct.pack(">I", crc32c.crc32c(body) if checksum is None else checksum) + body
    return struct.pack(">II", 4 + len(encoded) + len(rest), len(encoded)) + encoded + rest


def opened(directory: Path) -> Broker:
    return Broker(directory, SETTINGS)


async def settle(broker: Broker) -> None:
    """Let everything that is on its way to the disk get there, and its answers be written."""
    await broker.journal.settled()
    for _ in range(3):
        await asyncio.sleep(0)


def entry(number: int, size: int = 400, key: str = "") -> bytes:
    """Return a message as a producer sends it, without a checksum."""
    metadata = MessageMetadata(producer_name="p", sequence_id=number, publish_time=1_700_000_000_000 + number)
    if key:
        metadata.partition_key = key
    encoded = metadata.SerializeToString()
    return len(encoded).to_bytes(4, "big") + encoded + b"%d" % number + b"." * size


class Unheard:
    """A publisher that does not care."""

    def receipted(self, number: int) -> None: ...

    def refused(self, error: StorageError) -> None: ...


async def publish(topic: Topic, first: int, count: int, *, keys: int = 0) -> None:
    """Publish messages and wait until they are durable; with `keys`, that many take turns."""
    entries = [entry(number, key=f"k{number % keys}" if keys else "") for number in range(first, first + count)]
    topic.publish(entries, [1] * count, Unheard())
    await topic._journal.settled()
