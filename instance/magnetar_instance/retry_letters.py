"""Messages that failed come again later and later: each goes to a retry letter topic with a delay, and is done with.

The names of topics and properties are those of Pulsar's Java client, so that its tools know them. A letter carries its count
of attempts, which therefore outlives restarts; the broker's own count of redeliveries does not.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from magnetar_instance.backoff import Backoff, retry_topic
from magnetar_instance.entries import Entry
from magnetar_instance.input_specs import patterns_of, specs_of
from magnetar_instance.inputs import full_topic
from magnetar_instance.messages import id_text
from magnetar_instance.proto.function import FunctionDetails
from magnetar_instance.publishing import Apart, Publisher
from magnetar_instance.settings import InstanceSettings

ATTEMPTS = "RECONSUMETIMES"
REAL_TOPIC = "REAL_TOPIC"
ORIGIN_ID = "ORIGIN_MESSAGE_ID"
SCHEMA_VERSION = "MAGNETAR_SCHEMA_VERSION"
"""The property with the version of the schema that a message was written with: a letter has none of its own."""
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


class _Original:
    """A letter as the message that it was: of its topic, and written with that topic's version of the schema."""

    def __init__(self, letter: Any, topic: str, version: str) -> None:
        self._letter = letter
        self._topic = topic
        self._version = int(version)

    def topic_name(self) -> str:
        return self._topic

    def int_schema_version(self) -> int:
        return self._version

    def __getattr__(self, name: str) -> Any:
        return getattr(self._letter, name)


def decoding_letters(decode: Callable[[Any], object]) -> Callable[[Any], object]:
    """Return what reads messages as `decode` does, and letters by the version of the schema that their message had."""

    def decode_either(message: Any) -> object:
        properties = message.properties()
        version, topic = properties.get(SCHEMA_VERSION, ""), properties.get(REAL_TOPIC, "")
        return decode(_Original(message, topic, version) if version.isdecimal() and topic else message)

    return decode_either


class LetterTopics:
    """Which retry letter topic the messages of each input go to."""

    def __init__(self, details: FunctionDetails, subscription: str) -> None:
        specs = specs_of(details)
        self._subscription = subscription
        self._named = {full_topic(topic) for topic, spec in specs.items() if not spec.isRegexPattern}
        self._patterns = patterns_of(details)

    def of(self, topic: str) -> str:
        """Return the one for the messages of a topic, or of a partition."""
        whole = full_topic(topic.rpartition("-partition-")[0] or topic)
        if whole in self._named or not self._patterns:
            return retry_topic(topic, self._subscription)
        pattern = next((each for each in self._patterns if re.fullmatch(each, whole)), self._patterns[0])
        return retry_topic(pattern, self._subscription, is_pattern=True)


class RetryLetters:
    """Sends messages that failed to the retry letter topics of their inputs."""

    def __init__(self, settings: InstanceSettings, backoff: Backoff, publisher: Publisher) -> None:
        self._topics = LetterTopics(settings.details, settings.details.source.subscriptionName or settings.fqfn)
        self._backoff = backoff
        self._publisher = publisher

    def send(self, message: Any, entry: Entry, apart: Apart) -> int:
        """Send a letter; returns its delay in milliseconds. Raises the client's exceptions."""
        failures = failures_of(message) + 1
        delay = self._backoff.delay(failures)
        properties = {**origin_properties(message, entry), ATTEMPTS: str(failures), _DELAY: str(delay)}
        if ATTEMPTS not in message.properties() and (version := message.int_schema_version()) >= 0:
            properties[SCHEMA_VERSION] = str(version)
        options = {**letter_options(message), "deliver_after": timedelta(milliseconds=delay)}
        topic = self._topics.of(properties[REAL_TOPIC])
        self._publisher.send(topic, message.data(), properties, apart, options=options)
        return delay
