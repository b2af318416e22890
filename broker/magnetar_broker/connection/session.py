"""Commands of a connection as a whole: greeting, credentials, keep-alive, where topics are, and what is refused."""

import time
from dataclasses import dataclass

from magnetar_broker.auth.authenticator import Authenticator
from magnetar_broker.broker import Broker
from magnetar_broker.connection.gate import Gate
from magnetar_broker.connection.peer import Peer, code_of
from magnetar_broker.errors import AuthenticationError, BrokerError, NotAllowedError
from magnetar_broker.wire.frames import MAX_MESSAGE_SIZE
from magnetar_broker.wire.proto.pulsar_api import BaseCommand

SERVER_VERSION = "Magnetar-Broker"
_PROTOCOL_VERSION = 20
_CONNECT, _FAILED = 1, 2


@dataclass(frozen=True)
class Advertised:
    """Where clients are told that topics are: at a URL, or at a host or the connection's own address and its port."""

    url: str | None = None
    host: str | None = None
    tls: bool = False

    def url_for(self, address: str, port: int) -> str:
        """Return what a client is told that came to an address and port of this host."""
        scheme = "pulsar+ssl" if self.tls else "pulsar"
        return self.url or f"{scheme}://{_host(self.host or address)}:{port}"


class SessionHandlers:
    """Answers what concerns no single producer or consumer."""

    def __init__(self, broker: Broker, authenticator: Authenticator, gate: Gate, advertised: Advertised) -> None:
        self._broker = broker
        self._authenticator = authenticator
        self._gate = gate
        self._advertised = advertised

    def connect(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Greet a client in its own or our protocol version, whichever is older."""
        request = command.connect
        if peer.connected:
            peer.refuse(NotAllowedError("this connection is already established"))
            return
        if self._authenticator.enabled:
            try:
                method, data = request.auth_method_name, request.auth_data
                peer.identity = self._authenticator.identify(method, data, peer.certificate)
            except AuthenticationError as error:
                peer.refuse(error)
                return
        peer.connected = True
        peer.takes_challenges = request.feature_flags.supports_auth_refresh
        answer = BaseCommand(type=BaseCommand.CONNECTED)
        answer.connected.server_version = SERVER_VERSION
        answer.connected.protocol_version = min(request.protocol_version, _PROTOCOL_VERSION)
        answer.connected.max_message_size = MAX_MESSAGE_SIZE
        answer.connected.feature_flags.supports_topic_watchers = True
        peer.send(answer)

    def check_credentials(self, peer: Peer) -> None:
        """Ask for new credentials when a client's have expired; end its connection when it has none."""
        identity = peer.identity
        if identity is None or not identity.expired(time.time()):
            return
        if not peer.takes_challenges or peer.challenged:
            peer.refuse(AuthenticationError("the credentials have expired"))
            return
        peer.challenged = True
        challenge = BaseCommand(type=BaseCommand.AUTH_CHALLENGE)
        challenge.authChallenge.server_version = SERVER_VERSION
        challenge.authChallenge.protocol_version = _PROTOCOL_VERSION
        challenge.authChallenge.challenge.auth_method_name = identity.method
        challenge.authChallenge.challenge.auth_data = b"PulsarAuthRefresh"
        peer.send(challenge)

    def take_response(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Take new credentials: they must name the same role."""
        if peer.identity is None:
            return
        response = command.authResponse.response
        try:
            fresh = self._authenticator.identify(response.auth_method_name, response.auth_data, peer.certificate)
        except AuthenticationError as error:
            peer.refuse(error)
            return
        if fresh.role != peer.identity.role:
            peer.refuse(AuthenticationError(f"the new credentials are of {fresh.role}, not of {peer.identity.role}"))
            return
        peer.identity, peer.challenged = fresh, False

    def ping(self, peer: Peer, _command: BaseCommand, _rest: bytes) -> None:
        """Answer a keep-alive."""
        answer = BaseCommand(type=BaseCommand.PONG)
        answer.pong.SetInParent()
        peer.send(answer)

    def pong(self, peer: Peer, command: BaseCommand, rest: bytes) -> None:
        """Take an answer to a keep-alive: any bytes show that the client lives."""

    def partitions(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Tell how many partitions a topic has."""
        answer = BaseCommand(type=BaseCommand.PARTITIONED_METADATA_RESPONSE)
        body = answer.partitionMetadataResponse
        body.request_id = command.partitionMetadata.request_id
        try:
            self._gate.demand_look_up(peer, command.partitionMetadata.topic, "Get Partition Metadata")
            body.partitions = self._broker.partitions(command.partitionMetadata.topic)
            body.response = 0
        except BrokerError as error:
            body.response = 1
            body.error, body.message = code_of(error), str(error)
        peer.send(answer)

    def lookup(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Tell that every topic is here."""
        answer = BaseCommand(type=BaseCommand.LOOKUP_RESPONSE)
        body = answer.lookupTopicResponse
        body.request_id = command.lookupTopic.request_id
        try:
            self._gate.demand_look_up(peer, command.lookupTopic.topic, "Lookup")
        except BrokerError as error:
            body.response = _FAILED
            body.error, body.message = code_of(error), str(error)
            peer.send(answer)
            return
        url = self._advertised.url_for(*peer.local)
        if url.startswith("pulsar+ssl:"):
            body.brokerServiceUrlTls = url
        else:
            body.brokerServiceUrl = url
        body.response = _CONNECT
        body.authoritative = True
        peer.send(answer)

    def refuse_transaction(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Refuse transactions as a Pulsar with its coordinator switched off does."""
        for _field, body in command.ListFields():
            if hasattr(body, "request_id"):
                peer.error(body.request_id, NotAllowedError("Transaction manager is not enabled"))


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address
