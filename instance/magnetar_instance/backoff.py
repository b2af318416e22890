"""When a message that failed is tried again, and in which topic it waits for that. Pure."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from magnetar_instance.input_specs import patterns_of
from magnetar_instance.proto.function import ATLEAST_ONCE, SHARED, FunctionDetails

_NAMESPACE = 4
"""Parts of a pattern's full name up to its namespace."""


@dataclass(frozen=True)
class Backoff:
    """How long a message waits before each further attempt, in milliseconds."""

    initial_ms: int = 1_000
    multiplier: float = 2.0
    longest_ms: int = 600_000

    def delay(self, failures: int) -> int:
        """Return the wait after so many failures, 1 or more."""
        try:
            return min(int(self.initial_ms * self.multiplier ** (failures - 1)), self.longest_ms)
        except OverflowError:
            return self.longest_ms


def backoff_of(details: FunctionDetails) -> Backoff | None:
    """Return the back-off that a function asked for, as `retry` of Magnetar's options; None where it did not."""
    text = details.customRuntimeOptions
    try:
        options = json.loads(text) if '"retry"' in text else {}
        given = options.get("magnetar", {}).get("retry")
    except (ValueError, AttributeError):
        return None
    if given is None:
        return None
    return Backoff(
        given.get("initialDelayMs", Backoff.initial_ms),
        given.get("multiplier", Backoff.multiplier),
        given.get("maxDelayMs", Backoff.longest_ms),
    )


def refusals(details: FunctionDetails) -> Iterator[str]:
    """Yield a sentence for what letters can't be had with: they come back out of order."""
    if backoff_of(details) is None:
        return
    in_order = details.retainOrdering or details.retainKeyOrdering or details.source.subscriptionType != SHARED
    if in_order or details.processingGuarantees != ATLEAST_ONCE or not details.autoAck:
        yield "retry is refused: it needs ATLEAST_ONCE with autoAck and keeps no order; remove it, or what asks for order"
    dead = details.retryDetails.deadLetterTopic
    for pattern in patterns_of(details) if details.retryDetails.maxMessageRetries > 0 else ():
        if not dead or re.fullmatch(pattern, dead):
            yield (
                f"retry is refused for the pattern {pattern!r}: dead letters would come again if they go to a topic that it "
                "matches; name a deadLetterTopic that it does not match"
            )


def retry_topic(topic: str, subscription: str, *, is_pattern: bool = False) -> str:
    """Return the retry letter topic of an input: Pulsar's name for it, with no slash of the subscription's in it.

    All topics of a pattern share one, in their namespace: Pulsar has none for patterns.
    """
    if is_pattern:
        namespace = "/".join(topic.split("/")[:_NAMESPACE])
        return f"{namespace}/{subscription.replace('/', '-')}-RETRY"
    whole = topic.rpartition("-partition-")[0] or topic
    return f"{whole}-{subscription.replace('/', '-')}-RETRY"
