"""Messages that a function failed on too often go to a dead letter topic, and are done with.

Failures are counted here. The broker's count is of entries, so that one bad message would raise it for all that came with
it, and where order is kept it has none. A restart forgets the count: then there are more attempts, never fewer.
"""

from collections import OrderedDict
from typing import Any

from magnetar_instance.entries import Entry
from magnetar_instance.publishing import Apart, Publisher
from magnetar_instance.retry_letters import REAL_TOPIC, failures_of, letter_options, origin_properties
from magnetar_instance.settings import InstanceSettings

_COUNTED = 10_000
_TEXT = 1024


class Attempts:
    """How often messages failed; the latest messages alone are remembered."""

    def __init__(self, most: int = _COUNTED) -> None:
        self._most = most
        self._counts: OrderedDict[tuple[str, bytes], int] = OrderedDict()

    def failed(self, topic: str, identity: bytes) -> int:
        """Count a failure; returns how many there were."""
        count = self._counts.pop((topic, identity), 0) + 1
        self._counts[topic, identity] = count
        if len(self._counts) > self._most:
            self._counts.popitem(last=False)
        return count

    def forget(self, topic: str, identity: bytes) -> None:
        """Forget a message that is done with."""
        self._counts.pop((topic, identity), None)


class DeadLetters:
    """Decides whether a failure was a message's last, and sends it to the dead letter topic."""

    def __init__(self, settings: InstanceSettings, publisher: Publisher) -> None:
        details = settings.details
        self._retries = details.retryDetails.maxMessageRetries if details.HasField("retryDetails") else None
        self._topic = details.retryDetails.deadLetterTopic
        self._subscription = details.source.subscriptionName or settings.fqfn
        self._publisher = publisher
        self._attempts = Attempts()

    def are_due(self, message: Any, entry: Entry) -> bool:
        """Count a failure of a message; tells whether it has had all its attempts."""
        if self._retries is None or self._retries < 0:
            return False
        count = max(self._attempts.failed(entry.topic, entry.last), failures_of(message) + 1)
        if not entry.is_batch:
            count = max(count, message.redelivery_count() + 1)
        return count > self._retries

    def send(self, message: Any, entry: Entry, error: BaseException, apart: Apart) -> None:
        """Send a message to the dead letter topic. Raises the client's exceptions."""
        properties = {
            **origin_properties(message, entry),
            "REAL_SUBSCRIPTION": self._subscription,
            "EXCEPTION": f"{type(error).__name__}: {error}"[:_TEXT],
        }
        topic = self._topic or default_topic(properties[REAL_TOPIC], self._subscription)
        self._publisher.send(topic, message.data(), properties, apart, options=letter_options(message))
        self._attempts.forget(entry.topic, entry.last)


def default_topic(topic: str, subscription: str) -> str:
    """Return the dead letter topic of an input: Pulsar's name for it, with no slash of the subscription's in it."""
    whole = topic.rpartition("-partition-")[0] or topic
    return f"{whole}-{subscription.replace('/', '-')}-DLQ"
