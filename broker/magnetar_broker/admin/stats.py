"""A topic's figures in the form of Pulsar's admin API. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from magnetar_broker.topics.consumer import Consumer
from magnetar_broker.topics.meter import Meter
from magnetar_broker.topics.producers import Producer
from magnetar_broker.topics.subscription import Subscription
from magnetar_broker.topics.topic import Topic

_ACCESS = ("Shared", "Exclusive", "WaitForExclusive", "ExclusiveWithFencing")


def topic_stats(topic: Topic) -> dict[str, object]:
    """Return the figures of one topic."""
    sent = [subscription.sent for subscription in topic.subscriptions.values()]
    received = topic.received
    return {
        "msgRateIn": received.rate,
        "msgThroughputIn": received.throughput,
        "msgRateOut": sum(each.rate for each in sent),
        "msgThroughputOut": sum(each.throughput for each in sent),
        "bytesInCounter": received.bytes,
        "msgInCounter": received.messages,
        "bytesOutCounter": sum(each.bytes for each in sent),
        "msgOutCounter": sum(each.messages for each in sent),
        "averageMsgSize": received.bytes / received.messages if received.messages else 0.0,
        "storageSize": topic.entries.size,
        "backlogSize": topic.entries.bytes_of(topic.oldest_mark, topic.visible),
        "publishers": [_publisher(producer) for producer in topic.producers.all.values()],
        "waitingPublishers": topic.producers.waiting,
        "subscriptions": {name: subscription_stats(each) for name, each in topic.subscriptions.items()},
        "replication": {},
        "deduplicationStatus": "Enabled" if topic.deduplication is not None else "Disabled",
        "topicEpoch": topic.producers.epoch,
        "compaction": {
            "lastCompactionRemovedEventCount": 0,
            "lastCompactionSucceedTimestamp": int(topic.compacted_at * 1000),
            "lastCompactionFailedTimestamp": 0,
            "lastCompactionDurationTimeInMills": 0,
        },
    }


def subscription_stats(subscription: Subscription) -> dict[str, object]:
    """Return the figures of one subscription."""
    active = subscription.dispatcher.active if subscription.dispatcher else None
    return {
        **_out(subscription.sent),
        "type": subscription.kind_name or "None",
        "msgBacklog": subscription.backlog,
        "backlogSize": subscription.backlog_bytes,
        "msgRateRedeliver": 0.0,
        "msgRateExpired": 0.0,
        "unackedMessages": sum(consumer.unacknowledged for consumer in subscription.consumers),
        "blockedSubscriptionOnUnackedMsgs": False,
        "activeConsumerName": active.name if active and subscription.consumers else None,
        "isDurable": subscription.durable,
        "isReplicated": False,
        "nonContiguousDeletedMessagesRanges": len(subscription.cursor.beyond),
        "consumers": [_consumer(consumer) for consumer in subscription.consumers],
        "subscriptionProperties": subscription.properties,
    }


def _out(meter: Meter) -> dict[str, object]:
    return {
        "msgRateOut": meter.rate,
        "msgThroughputOut": meter.throughput,
        "bytesOutCounter": meter.bytes,
        "msgOutCounter": meter.messages,
    }


def _publisher(producer: Producer) -> dict[str, object]:
    sent = producer.sent
    return {
        "producerId": producer.id,
        "producerName": producer.name,
        "accessMode": _ACCESS[producer.access],
        "msgRateIn": sent.rate,
        "msgThroughputIn": sent.throughput,
        "averageMsgSize": sent.bytes / sent.messages if sent.messages else 0.0,
        "address": producer.link.address,
        "connectedSince": _time(producer.connected_since),
        "metadata": producer.metadata,
        "msgInCounter": sent.messages,
    }


def _consumer(consumer: Consumer) -> dict[str, object]:
    return {
        **_out(consumer.sent),
        "consumerName": consumer.name,
        "availablePermits": consumer.permits,
        "unackedMessages": consumer.unacknowledged,
        "blockedConsumerOnUnackedMsgs": consumer.blocked,
        "msgRateRedeliver": 0.0,
        "address": consumer.link.address,
        "connectedSince": _time(consumer.connected_since),
        "metadata": consumer.metadata,
    }


def merged_stats(parts: Iterable[Mapping[str, object]]) -> dict[str, object]:
    """Return the figures of a partitioned topic: numbers added up, subscriptions put together by name."""
    merged: dict[str, object] = {}
    for part in parts:
        for key, value in part.items():
            merged[key] = _merge(merged.get(key), value)
    return merged


def _merge(one: object, two: object) -> object:
    if one is None:
        return two
    if isinstance(one, bool) or isinstance(two, bool):
        return one or two
    if isinstance(one, int | float) and isinstance(two, int | float):
        return one + two
    if isinstance(one, list) and isinstance(two, list):
        return [*one, *two]
    if isinstance(one, dict) and isinstance(two, dict):
        return {key: _merge(one.get(key), two.get(key, one.get(key))) if key in two else one[key] for key in one} | {
            key: value for key, value in two.items() if key not in one
        }
    return one


def internal_stats(topic: Topic) -> dict[str, object]:
    """Return where a topic's entries and cursors stand; its one ledger bears the topic's id."""
    entries = topic.visible - topic.entries.first
    ledger = {"ledgerId": topic.id, "entries": entries, "size": topic.entries.size, "offloaded": False}
    return {
        "entriesAddedCounter": topic.received.messages,
        "numberOfEntries": entries,
        "totalSize": topic.entries.size,
        "currentLedgerEntries": entries,
        "currentLedgerSize": topic.entries.size,
        "waitingCursorsCount": 0,
        "pendingAddEntriesCount": topic.entries.end - topic.visible,
        "lastConfirmedEntry": f"{topic.id}:{topic.last()}",
        "state": "LedgerOpened",
        "ledgers": [ledger],
        "cursors": {name: _cursor(topic, each) for name, each in topic.subscriptions.items()},
        "schemaLedgers": [],
        "compactedLedger": {"ledgerId": -1, "entries": len(topic.compacted.kept), "size": -1, "offloaded": False},
    }


def _cursor(topic: Topic, subscription: Subscription) -> dict[str, object]:
    beyond = ",".join(f"({topic.id}:{start - 1}..{topic.id}:{end - 1}]" for start, end in subscription.cursor.beyond)
    return {
        "markDeletePosition": f"{topic.id}:{subscription.mark - 1}",
        "readPosition": f"{topic.id}:{subscription.mark}",
        "individuallyDeletedMessages": f"[{beyond}]",
        "totalNonContiguousDeletedMessagesRange": len(subscription.cursor.beyond),
        "messagesConsumedCounter": subscription.sent.messages,
        "numberOfEntriesSinceFirstNotAckedMessage": topic.visible - subscription.mark,
        "state": "Open",
        "properties": {},
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
