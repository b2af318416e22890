"""Commands of a connection as a whole: greeting, keep-alive, where topics are, and what is refused."""

import re

from magnetar_broker.broker import Broker
from magnetar_broker.connection.peer import Peer, code_of
from magnetar_broker.errors import BrokerError, InvalidError
from magnetar_broker.wire.frames import MAX_MESSAGE_SIZE
from magnetar_broker.wire.proto import pulsar_api
from magnetar_broker.wire.proto.pulsar_api import BaseCommand

SERVER_VERSION = "Magnetar-Broker"
_PROTOCOL_VERSION = 20
_CONNECT, _FAILED = 1, 2


class SessionHandlers:
    """Answers what concerns no single producer or consumer; `advertised_url` replaces the socket's own address."""

    def __init__(self, broker: Broker, advertised_url: str | None) -> None:
        self._broker = broker
        self._advertised_url = advertised_url

    def connect(self, peer: Peer, command: BaseCommand, _: memoryview) -> None:
        """Greet a client in its own or our protocol version, whichever is older."""
        answer = BaseCommand(type=BaseCommand.CONNECTED)
        answer.connected.server_version = SERVER_VERSION
        answer.connected.protocol_version = min(command.connect.protocol_version, _PROTOCOL_VERSION)
        answer.connected.max_message_size = MAX_MESSAGE_SIZE
        peer.send(answer)

    def ping(self, peer: Peer, _command: BaseCommand, _rest: memoryview) -> None:
        """Answer a keep-alive."""
        answer = BaseCommand(type=BaseCommand.PONG)
        answer.pong.SetInParent()
        peer.send(answer)

    def pong(self, peer: Peer, command: BaseCommand, rest: memoryview) -> None:
        """Take an answer to a keep-alive: any bytes show that the client lives."""

    def partitions(self, peer: Peer, command: BaseCommand, _: memoryview) -> None:
        """Tell how many partitions a topic has."""
        answer = BaseCommand(type=BaseCommand.PARTITIONED_METADATA_RESPONSE)
        body = answer.partitionMetadataResponse
        body.request_id = command.partitionMetadata.request_id
        try:
            body.partitions = self._broker.partitions(command.partitionMetadata.topic)
            body.response = 0
        except BrokerError as error:
            body.response = 1
            body.error, body.message = code_of(error), str(error)
        peer.send(answer)

    def lookup(self, peer: Peer, command: BaseCommand, _: memoryview) -> None:
        """Tell that every topic is here."""
        answer = BaseCommand(type=BaseCommand.LOOKUP_RESPONSE)
        body = answer.lookupTopicResponse
        body.request_id = command.lookupTopic.request_id
        body.brokerServiceUrl = self._advertised_url or f"pulsar://{_host(peer.local[0])}:{peer.local[1]}"
        body.response = _CONNECT
        body.authoritative = True
        peer.send(answer)

    def topics_of_namespace(self, peer: Peer, command: BaseCommand, _: memoryview) -> None:
        """List a namespace's topics, for a subscription to a pattern."""
        request = command.getTopicsOfNamespace
        answer = BaseCommand(type=BaseCommand.GET_TOPICS_OF_NAMESPACE_RESPONSE)
        body = answer.getTopicsOfNamespaceResponse
        body.request_id = request.request_id
        try:
            topics = self._broker.topics_of(request.namespace)
            if request.topics_pattern:
                pattern = re.compile(request.topics_pattern)
                topics = [topic for topic in topics if pattern.fullmatch(topic)]
                body.filtered = True
        except re.error as error:
            peer.error(request.request_id, InvalidError(f"topics_pattern {request.topics_pattern!r}: {error}"))
            return
        except BrokerError as error:
            peer.error(request.request_id, error)
            return
        body.topics.extend(topics)
        peer.send(answer)

    def new_transaction(self, peer: Peer, command: BaseCommand, _: memoryview) -> None:
        """Refuse transactions as a broker without them does."""
        answer = BaseCommand(type=BaseCommand.NEW_TXN_RESPONSE)
        answer.newTxnResponse.request_id = command.newTxn.request_id
        answer.newTxnResponse.error = pulsar_api.TransactionCoordinatorNotFound
        answer.newTxnResponse.message = "this broker has no transactions"
        peer.send(answer)

    def connect_coordinator(self, peer: Peer, command: BaseCommand, _: memoryview) -> None:
        """Refuse the connection to a transaction coordinator."""
        answer = BaseCommand(type=BaseCommand.TC_CLIENT_CONNECT_RESPONSE)
        answer.tcClientConnectResponse.request_id = command.tcClientConnectRequest.request_id
        answer.tcClientConnectResponse.error = pulsar_api.NotAllowedError
        answer.tcClientConnectResponse.message = "this broker has no transactions"
        peer.send(answer)


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
