"""Watchers of topic lists: a client that subscribes to a pattern hears at once of topics that come and go."""

import asyncio
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import crc32c

from magnetar_broker.broker import Broker
from magnetar_broker.connection.gate import Gate
from magnetar_broker.connection.peer import Peer
from magnetar_broker.errors import BrokerError, InvalidError
from magnetar_broker.wire.proto.pulsar_api import BaseCommand

_PERSISTENT, _NON_PERSISTENT, _ALL = range(3)


@dataclass(frozen=True)
class Watcher:
    """One client's watch over a namespace."""

    peer: Peer
    id: int
    namespace: str
    pattern: re.Pattern[str]


class WatchHandlers:
    """Answers GET_TOPICS_OF_NAMESPACE, WATCH_TOPIC_LIST and its CLOSE, and tells watchers what changed."""

    def __init__(self, broker: Broker, gate: Gate) -> None:
        self._broker = broker
        self._gate = gate
        self._watchers: dict[tuple[Peer, int], Watcher] = {}
        self._changes: list[tuple[str, str, bool]] = []
        broker.topics_changed = self._changed

    def topics(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """List a namespace's topics, for a subscription to a pattern."""
        request = command.getTopicsOfNamespace
        answer = BaseCommand(type=BaseCommand.GET_TOPICS_OF_NAMESPACE_RESPONSE)
        body = answer.getTopicsOfNamespaceResponse
        body.request_id = request.request_id
        try:
            self._gate.demand_topics(peer, request.namespace, "GetTopicsOfNamespace")
            topics = self._of(request.namespace, request.mode)
            if request.topics_pattern:
                topics = _matching(topics, compile_pattern(request.topics_pattern))
                body.filtered = True
        except BrokerError as error:
            peer.error(request.request_id, error)
            return
        body.topics_hash = topics_hash(topics)
        if request.topics_hash == body.topics_hash:
            body.changed = False
        else:
            body.topics.extend(topics)
        peer.send(answer)

    def _of(self, namespace: str, mode: int) -> list[str]:
        """Return the topics of a namespace, each partition by itself: clients put them together."""
        found = self._broker.topics_of(namespace)
        return [str(topic.name) for topic in found if mode == _ALL or topic.name.persistent == (mode == _PERSISTENT)]

    def watch(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Begin a watch."""
        request = command.watchTopicList
        answer = BaseCommand(type=BaseCommand.WATCH_TOPIC_LIST_SUCCESS)
        body = answer.watchTopicListSuccess
        body.request_id, body.watcher_id = request.request_id, request.watcher_id
        try:
            self._gate.demand_topics(peer, request.namespace, "WatchTopicList")
            pattern = compile_pattern(request.topics_pattern)
            topics = _matching(self._of(request.namespace, _PERSISTENT), pattern)
        except BrokerError as error:
            peer.error(request.request_id, error)
            return
        self._watchers[peer, request.watcher_id] = Watcher(peer, request.watcher_id, request.namespace, pattern)
        body.topics_hash = topics_hash(topics)
        if request.topics_hash != body.topics_hash:
            body.topic.extend(topics)
        peer.send(answer)

    def close(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """End a watch."""
        self._watchers.pop((peer, command.watchTopicListClose.watcher_id), None)
        peer.success(command.watchTopicListClose.request_id)

    def forget(self, peer: Peer) -> None:
        """End all watches of a client that has gone."""
        for key in [key for key in self._watchers if key[0] is peer]:
            del self._watchers[key]

    def _changed(self, name: str, namespace: str, *, there: bool) -> None:
        """Gather what changes, so that ten thousand new topics are told together and not one by one."""
        if not self._watchers or not name.startswith("persistent://"):
            return
        if not self._changes:
            asyncio.get_running_loop().call_soon(self._tell)
        self._changes.append((name, namespace, there))

    def _tell(self) -> None:
        changes, self._changes = self._changes, []
        for watcher in self._watchers.values():
            mine = [(name, there) for name, namespace, there in changes if namespace == watcher.namespace]
            mine = [(name, there) for name, there in mine if _matching([name], watcher.pattern)]
            if not mine:
                continue
            update = BaseCommand(type=BaseCommand.WATCH_TOPIC_UPDATE)
            body = update.watchTopicUpdate
            body.watcher_id = watcher.id
            body.new_topics.extend(name for name, there in mine if there)
            body.deleted_topics.extend(name for name, there in mine if not there)
            topics: list[str] = []
            with suppress(BrokerError):
                # A namespace that went with its topics has none left.
                topics = _matching(self._of(watcher.namespace, _PERSISTENT), watcher.pattern)
            body.topics_hash = topics_hash(topics)
            watcher.peer.send(update)


def compile_pattern(text: str) -> re.Pattern[str]:
    r"""Read a pattern of topics: Java's quotes (`\Q…\E`) are taken, and the domain does not count. Raises InvalidError."""
    plain = re.sub(r"\\Q(.*?)\\E", lambda match: re.escape(match[1]), text, flags=re.DOTALL)
    try:
        return re.compile(_without_domain(plain))
    except re.error as error:
        raise InvalidError(f"topics_pattern {text!r}: {error}") from None


def _without_domain(name: str) -> str:
    return re.sub(r"^(non-)?persistent(\\)?:(\\)?/(\\)?/", "", name)


def _matching(topics: Iterable[str], pattern: re.Pattern[str]) -> list[str]:
    return [topic for topic in topics if pattern.fullmatch(_without_domain(topic))]


def topics_hash(topics: Iterable[str]) -> str:
    """Return the hash by which clients and broker tell whether a list has changed."""
    return f"{crc32c.crc32c(','.join(sorted(topics)).encode()):08x}"
