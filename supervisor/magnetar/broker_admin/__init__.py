"""Pulsar's admin API, or the embedded broker's, from async code."""

from magnetar.broker_admin.answers import (
    BrokerMessageId,
    ConsumerStats,
    PackageMetadata,
    PublisherStats,
    SubscriptionStats,
    TopicStats,
)
from magnetar.broker_admin.client import BrokerAdmin

__all__ = [
    "BrokerAdmin",
    "BrokerMessageId",
    "ConsumerStats",
    "PackageMetadata",
    "PublisherStats",
    "SubscriptionStats",
    "TopicStats",
]
