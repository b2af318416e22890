"""The server of the binary protocol: which handler answers which command."""

import asyncio

from magnetar_broker.broker import Broker
from magnetar_broker.connection.consuming import ConsumerHandlers
from magnetar_broker.connection.peer import Handler, Peer
from magnetar_broker.connection.producing import ProducerHandlers
from magnetar_broker.connection.schemas import SchemaHandlers
from magnetar_broker.connection.session import SessionHandlers
from magnetar_broker.errors import StartError
from magnetar_broker.wire.proto.pulsar_api import BaseCommand


class PulsarService:
    """Serves a broker's topics to Pulsar's clients."""

    def __init__(self, broker: Broker, advertised_url: str | None = None) -> None:
        self._handlers = _handlers(broker, advertised_url)
        self._peers: set[Peer] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        """Listen on `host:port`, 0 for any free port; returns the port. Raises StartError."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._peer, host, port)
        except OSError as error:
            raise StartError(f"{host}:{port} can't be listened on: {error.strerror}; give another --port") from error
        return int(self._server.sockets[0].getsockname()[1])

    def _peer(self) -> Peer:
        peer = Peer(self._handlers, self._peers.discard)
        self._peers.add(peer)
        return peer

    async def close(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.close()
        for peer in list(self._peers):
            peer.close()
        if self._server is not None:
            await self._server.wait_closed()


def _handlers(broker: Broker, advertised_url: str | None) -> dict[int, Handler]:
    session = SessionHandlers(broker, advertised_url)
    producers, consumers, schemas = ProducerHandlers(broker), ConsumerHandlers(broker), SchemaHandlers(broker)
    return {
        BaseCommand.CONNECT: session.connect,
        BaseCommand.PING: session.ping,
        BaseCommand.PONG: session.pong,
        BaseCommand.PARTITIONED_METADATA: session.partitions,
        BaseCommand.LOOKUP: session.lookup,
        BaseCommand.GET_TOPICS_OF_NAMESPACE: session.topics_of_namespace,
        BaseCommand.NEW_TXN: session.new_transaction,
        BaseCommand.TC_CLIENT_CONNECT_REQUEST: session.connect_coordinator,
        BaseCommand.PRODUCER: producers.create,
        BaseCommand.SEND: producers.send,
        BaseCommand.CLOSE_PRODUCER: producers.close,
        BaseCommand.SUBSCRIBE: consumers.subscribe,
        BaseCommand.FLOW: consumers.flow,
        BaseCommand.ACK: consumers.acknowledge,
        BaseCommand.REDELIVER_UNACKNOWLEDGED_MESSAGES: consumers.redeliver,
        BaseCommand.UNSUBSCRIBE: consumers.unsubscribe,
        BaseCommand.SEEK: consumers.seek,
        BaseCommand.CLOSE_CONSUMER: consumers.close,
        BaseCommand.GET_LAST_MESSAGE_ID: consumers.last_message_id,
        BaseCommand.CONSUMER_STATS: consumers.stats,
        BaseCommand.GET_SCHEMA: schemas.get,
        BaseCommand.GET_OR_CREATE_SCHEMA: schemas.get_or_create,
    }
