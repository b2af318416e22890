"""The server of the binary protocol: which handler answers which command."""

import asyncio
import ssl
from contextlib import suppress

from magnetar_broker.auth.authenticator import Authenticator
from magnetar_broker.auth.rights import Rights
from magnetar_broker.broker import Broker
from magnetar_broker.connection.consuming import ConsumerHandlers
from magnetar_broker.connection.gate import Gate
from magnetar_broker.connection.peer import Handler, Peer
from magnetar_broker.connection.producing import ProducerHandlers
from magnetar_broker.connection.schemas import SchemaHandlers
from magnetar_broker.connection.session import Advertised, SessionHandlers
from magnetar_broker.connection.watching import WatchHandlers
from magnetar_broker.errors import StartError
from magnetar_broker.wire.proto.pulsar_api import BaseCommand

_BACKLOG = 1024


class PulsarService:
    """Serves a broker's topics to Pulsar's clients.

    Every `keep_alive` seconds silent clients are asked whether they live, and those that were asked before and did not
    answer are disconnected.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        advertised_url: str | None = None,
        advertised_host: str | None = None,
        authenticator: Authenticator | None = None,
        rights: Rights | None = None,
        tls: ssl.SSLContext | None = None,
        keep_alive: float = 30.0,
    ) -> None:
        self._gate = Gate(rights or Rights(broker.tenancy))
        self._session = SessionHandlers(
            broker,
            authenticator or Authenticator(),
            self._gate,
            Advertised(advertised_url, advertised_host, tls=tls is not None),
        )
        self._watching = WatchHandlers(broker, self._gate)
        self._handlers = _handlers(broker, self._gate, self._session, self._watching)
        broker.rights_changed = self._rights_changed
        self._tls = tls
        self._keep_alive = keep_alive
        self._peers: set[Peer] = set()
        self._server: asyncio.Server | None = None
        self._checking: asyncio.Task[None] | None = None

    async def listen(self, host: str, port: int) -> int:
        """Listen on `host:port`, 0 for any free port; returns the port. Raises StartError."""
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._peer, host, port, ssl=self._tls, backlog=_BACKLOG)
        except OSError as error:
            raise StartError(f"{host}:{port} can't be listened on: {error.strerror}; give another --port") from error
        self._checking = loop.create_task(self._check(), name="keep-alive")
        return int(self._server.sockets[0].getsockname()[1])

    def _peer(self) -> Peer:
        peer = Peer(self._handlers, self._gone)
        self._peers.add(peer)
        return peer

    def _gone(self, peer: Peer) -> None:
        self._peers.discard(peer)
        self._watching.forget(peer)

    def _rights_changed(self) -> None:
        """Close what clients have and may have no longer."""
        if self._gate.closes:
            for peer in list(self._peers):
                self._gate.judge_again(peer)

    async def _check(self) -> None:
        while True:
            await asyncio.sleep(self._keep_alive)
            for peer in list(self._peers):
                peer.check_alive()
                self._session.check_credentials(peer)

    async def close(self) -> None:
        """Stop listening and close every connection."""
        if self._checking is not None:
            self._checking.cancel()
            with suppress(asyncio.CancelledError):
                await self._checking
        if self._server is not None:
            self._server.close()
        for peer in list(self._peers):
            peer.close()
        if self._server is not None:
            await self._server.wait_closed()


def _handlers(broker: Broker, gate: Gate, session: SessionHandlers, watching: WatchHandlers) -> dict[int, Handler]:
    producers, consumers = ProducerHandlers(broker, gate), ConsumerHandlers(broker, gate)
    schemas = SchemaHandlers(broker, gate)
    transactions = (
        BaseCommand.NEW_TXN,
        BaseCommand.ADD_PARTITION_TO_TXN,
        BaseCommand.ADD_SUBSCRIPTION_TO_TXN,
        BaseCommand.END_TXN,
        BaseCommand.END_TXN_ON_PARTITION,
        BaseCommand.END_TXN_ON_SUBSCRIPTION,
        BaseCommand.TC_CLIENT_CONNECT_REQUEST,
    )
    return {
        BaseCommand.CONNECT: session.connect,
        BaseCommand.AUTH_RESPONSE: session.take_response,
        BaseCommand.PING: session.ping,
        BaseCommand.PONG: session.pong,
        BaseCommand.PARTITIONED_METADATA: session.partitions,
        BaseCommand.LOOKUP: session.lookup,
        BaseCommand.GET_TOPICS_OF_NAMESPACE: watching.topics,
        BaseCommand.WATCH_TOPIC_LIST: watching.watch,
        BaseCommand.WATCH_TOPIC_LIST_CLOSE: watching.close,
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
        **dict.fromkeys(transactions, session.refuse_transaction),
    }
