"""Messages that failed come again later and later: each goes to a retry letter topic with a delay, and is done with.

The names of topics and properties are those of Pulsar's Java client, so that its tools know them. A letter carries its count
of attempts, which therefore outlives restarts; the broker's own count of redeliveries does not.
"""

from datetime import timedelta
from typing import Any

from magnetar_instance.backoff import Backoff, retry_topic
from magnetar_instance.entries import Entry
from magnetar_instance.messages import id_text
from magnetar_instance.publishing import Apart, Publisher
from magnetar_instance.settings import InstanceSettings

ATTEMPTS = "RECONSUMETIMES"
REAL_TOPIC = "REAL_TOPIC"
ORIGIN_ID = "ORIGIN_MESSAGE_ID"
_DELAY = "DELAY_TIME"


def real_topic(message: Any, entry: Entry) -> str:
    """Return the topic that a message came from first, whether it is a letter or not."""
    properties = message.properties()
    return str(properties[REAL_TOPIC]) if ATTEMPTS in properties and REAL_TOPIC in properties else entry.topic


def failures_of(message: Any) -> int:
    """Return how often a letter had failed when it was sent; 0 for a message that is none."""
    text = message.properties().get(ATTEMPTS, "0")
    return int(text) if text.isdecimal() else 0


def origin_properties(message: Any, entry: Entry) -> dict[str, str]:
    """Return the properties of a letter: the message's own, and where it came from first."""
    properties = message.properties()
    return {
        **properties,
        REAL_TOPIC: real_topic(message, entry),
        ORIGIN_ID: properties.get(ORIGIN_ID) or id_text(entry.last),
    }


def letter_options(message: Any) -> dict[str, Any]:
    """Return what a letter has of its message besides properties and content."""
    return {
        "partition_key": message.partition_key() or None,
        "ordering_key": message.ordering_key() or None,
        "event_timestamp": message.event_timestamp() or None,
    }


class RetryLetters:
    """Sends messages that failed to the retry letter topics of their inputs."""

    def __init__(self, settings: InstanceSettings, backoff: Backoff, publisher: Publisher) -> None:
        self._subscription = settings.details.source.subscriptionName or settings.fqfn
        self._backoff = backoff
        self._publisher = publisher

    def send(self, message: Any, entry: Entry, apart: Apart) -> int:
        """Send a letter; returns its delay in milliseconds. Raises the client's exceptions."""
        failures = failures_of(message) + 1
        delay = self._backoff.delay(failures)
        properties = {**origin_properties(message, entry), ATTEMPTS: str(failures), _DELAY: str(delay)}
        options = {**letter_options(message), "deliver_after": timedelta(milliseconds=delay)}
        topic = retry_topic(properties[REAL_TOPIC], self._subscription)
        self._publisher.send(topic, message.data(), properties, apart, options=options)
        return delay
