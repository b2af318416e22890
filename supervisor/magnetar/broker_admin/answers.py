"""What the broker's admin API answers, typed; what a field is missing from reads as its zero. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class BrokerMessageId:
    """Where a topic's last message is; `entry_id` is -1 in an empty topic."""

    ledger_id: int
    entry_id: int
    partition: int


@dataclass(frozen=True)
class PublisherStats:
    """One producer of a topic."""

    name: str
    access_mode: str
    address: str


@dataclass(frozen=True)
class ConsumerStats:
    """One consumer of a subscription; `properties` are those that the consumer gave itself."""

    name: str
    address: str
    properties: Mapping[str, str]


@dataclass(frozen=True)
class SubscriptionStats:
    """One subscription of a topic; `active_consumer` is named for Exclusive and Failover ones alone."""

    kind: str
    backlog: int
    active_consumer: str | None
    consumers: tuple[ConsumerStats, ...]


@dataclass(frozen=True)
class TopicStats:
    """A topic without partitions, or one partition."""

    messages_in: int
    publishers: tuple[PublisherStats, ...]
    subscriptions: Mapping[str, SubscriptionStats]
    deduplicates: bool = False


@dataclass(frozen=True)
class PackageMetadata:
    """What is told about a package version besides its content."""

    description: str = ""
    contact: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)


def message_id(answer: Mapping[str, object]) -> BrokerMessageId:
    """Read a message id."""
    return BrokerMessageId(
        _number(answer, "ledgerId"), _number(answer, "entryId", -1), _number(answer, "partitionIndex", -1)
    )


def topic_stats(answer: Mapping[str, object]) -> TopicStats:
    """Read a topic's figures."""
    publishers = (_publisher(each) for each in _objects(answer.get("publishers")))
    subscriptions = _object(answer.get("subscriptions"))
    return TopicStats(
        _number(answer, "msgInCounter"),
        tuple(publishers),
        {name: _subscription(_object(each)) for name, each in subscriptions.items()},
        _text(answer, "deduplicationStatus") == "Enabled",
    )


def _publisher(answer: Mapping[str, object]) -> PublisherStats:
    return PublisherStats(_text(answer, "producerName"), _text(answer, "accessMode"), _text(answer, "address"))


def _subscription(answer: Mapping[str, object]) -> SubscriptionStats:
    return SubscriptionStats(
        _text(answer, "type"),
        _number(answer, "msgBacklog"),
        _text(answer, "activeConsumerName") or None,
        tuple(_consumer(each) for each in _objects(answer.get("consumers"))),
    )


def _consumer(answer: Mapping[str, object]) -> ConsumerStats:
    properties = {name: str(value) for name, value in _object(answer.get("metadata")).items()}
    return ConsumerStats(_text(answer, "consumerName"), _text(answer, "address"), properties)


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[Mapping[str, object]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(answer: Mapping[str, object], name: str) -> str:
    value = answer.get(name)
    return value if isinstance(value, str) else ""


def _number(answer: Mapping[str, object], name: str, absent: int = 0) -> int:
    value = answer.get(name)
    return value if isinstance(value, int) else absent
