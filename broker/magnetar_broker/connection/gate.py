"""What a connection may do: asked before a command is carried out, and again when permissions change."""

from contextlib import suppress

from magnetar_broker.auth.rights import CONSUME, PRODUCE, Rights
from magnetar_broker.connection.peer import Peer
from magnetar_broker.errors import AuthorizationError, BrokerError
from magnetar_broker.names import TopicName, parse_topic


class Gate:
    """Refuses commands of clients as Pulsar does: AuthorizationError with its words."""

    def __init__(self, rights: Rights) -> None:
        self._rights = rights

    @property
    def closes(self) -> bool:
        """Whether anybody can be refused."""
        return self._rights.enabled

    def demand_look_up(self, peer: Peer, topic: str, what: str) -> None:
        """Let those pass that may produce to a topic or consume it. Raises AuthorizationError."""
        if self.closes and not self._rights.may_look_up(peer.identity, parse_topic(topic)):
            raise _refused(what)

    def demand_produce(self, peer: Peer, topic: str, subscription: str) -> None:
        """Let those pass that may produce, and subscribe where the producer makes a subscription."""
        if not self.closes:
            return
        name = parse_topic(topic)
        allowed = self._rights.may_produce(peer.identity, name)
        if not allowed or (subscription and not self._rights.may_consume(peer.identity, name, subscription)):
            raise _refused("Produce")

    def demand_consume(self, peer: Peer, topic: str, subscription: str) -> None:
        """Let those pass that may consume by a subscription."""
        if self.closes and not self._rights.may_consume(peer.identity, parse_topic(topic), subscription):
            raise _refused("subscribe")

    def demand_topics(self, peer: Peer, namespace: str, what: str) -> None:
        """Let those pass that may produce or consume in a whole namespace."""
        if not self._rights.may_in_namespace(peer.identity, namespace, PRODUCE, CONSUME):
            raise _refused(what)

    def judge_again(self, peer: Peer) -> None:
        """Close what a client has and may have no longer: when it comes again, it is refused."""
        for producer_id, (topic, producer) in list(peer.producers.items()):
            if not self._rights.may_produce(peer.identity, topic.name):
                topic.producers.remove(producer)
                peer.close_producer(producer_id)
        for consumer_id, (topic, subscription, _) in list(peer.consumers.items()):
            if not self._still_consumes(peer, topic.name, subscription.name):
                peer.drop_consumer(consumer_id)
                peer.close_consumer(consumer_id)

    def _still_consumes(self, peer: Peer, topic: TopicName, subscription: str) -> bool:
        with suppress(BrokerError):
            return self._rights.may_consume(peer.identity, topic, subscription)
        return False


def _refused(what: str) -> AuthorizationError:
    return AuthorizationError(f"Client is not authorized to {what}")
