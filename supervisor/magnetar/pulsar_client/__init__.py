"""The official Pulsar client behind async calls."""

from magnetar.pulsar_client.client import PulsarClient
from magnetar.pulsar_client.consumer import Consumer, SubscriptionKind
from magnetar.pulsar_client.failures import FencedError
from magnetar.pulsar_client.messages import EARLIEST, LATEST, Message, MessageId
from magnetar.pulsar_client.producer import Outgoing, Producer
from magnetar.pulsar_client.reader import Reader

__all__ = [
    "EARLIEST",
    "LATEST",
    "Consumer",
    "FencedError",
    "Message",
    "MessageId",
    "Outgoing",
    "Producer",
    "PulsarClient",
    "Reader",
    "SubscriptionKind",
]
