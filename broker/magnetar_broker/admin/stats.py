"""A topic's figures in the form of Pulsar's admin API. Pure."""

from datetime import UTC, datetime

from magnetar_broker.topics.consumer import Consumer
from magnetar_broker.topics.producers import Producer
from magnetar_broker.topics.subscription import Subscription
from magnetar_broker.topics.topic import Topic


def topic_stats(topic: Topic) -> dict[str, object]:
    """Return the figures of one topic; rates are not kept, and so not told."""
    subscriptions = {name: subscription_stats(each) for name, each in topic.subscriptions.items()}
    return {
        "msgInCounter": topic.counters.messages_in,
        "bytesInCounter": topic.counters.bytes_in,
        "msgOutCounter": sum(each.delivered for each in topic.subscriptions.values()),
        "storageSize": topic.entries.size,
        "backlogSize": topic.entries.size,
        "publishers": [_publisher(producer) for producer in topic.producers.all.values()],
        "waitingPublishers": topic.producers.waiting,
        "subscriptions": subscriptions,
        "topicEpoch": topic.producers.epoch,
        "compaction": {
            "lastCompactionRemovedEventCount": 0,
            "lastCompactionSucceedTimestamp": int(topic.counters.compacted_at * 1000),
            "lastCompactionFailedTimestamp": 0,
            "lastCompactionDurationTimeInMills": 0,
        },
    }


def subscription_stats(subscription: Subscription) -> dict[str, object]:
    """Return the figures of one subscription."""
    active = subscription.dispatcher.active if subscription.dispatcher else None
    return {
        "type": subscription.kind_name or "None",
        "msgBacklog": subscription.backlog,
        "msgOutCounter": subscription.delivered,
        "unackedMessages": sum(consumer.unacknowledged for consumer in subscription.consumers),
        "activeConsumerName": active.name if active and subscription.consumers else None,
        "isDurable": subscription.durable,
        "consumers": [_consumer(consumer) for consumer in subscription.consumers],
        "subscriptionProperties": subscription.properties,
    }


def _publisher(producer: Producer) -> dict[str, object]:
    return {
        "producerId": producer.id,
        "producerName": producer.name,
        "accessMode": ("Shared", "Exclusive", "WaitForExclusive", "ExclusiveWithFencing")[producer.access],
        "address": producer.link.address,
        "connectedSince": _time(producer.connected_since),
        "metadata": producer.metadata,
        "msgInCounter": producer.messages,
    }


def _consumer(consumer: Consumer) -> dict[str, object]:
    return {
        "consumerName": consumer.name,
        "availablePermits": consumer.permits,
        "unackedMessages": consumer.unacknowledged,
        "msgOutCounter": consumer.delivered,
        "address": consumer.link.address,
        "connectedSince": _time(consumer.connected_since),
        "metadata": consumer.metadata,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
