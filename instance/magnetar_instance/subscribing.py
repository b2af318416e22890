"""The consumers' options: how an instance subscribes to its inputs."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pulsar

from magnetar_instance.codecs import Reading
from magnetar_instance.crypto import decryption_options
from magnetar_instance.errors import BootError
from magnetar_instance.producing import instance_properties
from magnetar_instance.proto.function import (
    EARLIEST,
    EFFECTIVELY_ONCE,
    FAILOVER,
    KEY_SHARED,
    ConsumerSpec,
    FunctionDetails,
)
from magnetar_instance.schemas import Importer
from magnetar_instance.settings import InstanceSettings

_ORDERED_QUEUE = 100
"""What is received ahead from a partition is processed in vain if that goes to another instance meanwhile."""
_TRUE = {"true": True, "false": False}


def _flag(text: str) -> bool:
    return _TRUE[text.lower()]


def _micros(text: str) -> int:
    return int(text) // 1000


_PROPERTIES: Mapping[str, tuple[str, Callable[[str], Any]]] = {
    "ackTimeoutMillis": ("unacked_messages_timeout_ms", int),
    "autoAckOldestChunkedMessageOnQueueFull": ("auto_ack_oldest_chunked_message_on_queue_full", _flag),
    "batchIndexAckEnabled": ("batch_index_ack_enabled", _flag),
    "consumerName": ("consumer_name", str),
    "maxPendingChunkedMessage": ("max_pending_chunked_message", int),
    "maxTotalReceiverQueueSizeAcrossPartitions": ("max_total_receiver_queue_size_across_partitions", int),
    "negativeAckRedeliveryDelayMicros": ("negative_ack_redelivery_delay_ms", _micros),
    "patternAutoDiscoveryPeriod": ("pattern_auto_discovery_period", int),
    "readCompacted": ("is_read_compacted", _flag),
    "receiverQueueSize": ("receiver_queue_size", int),
    "regexSubscriptionMode": ("regex_subscription_mode", lambda text: getattr(pulsar.RegexSubscriptionMode, text)),
    "replicateSubscriptionState": ("replicate_subscription_state_enabled", _flag),
    "resetIncludeHead": ("start_message_id_inclusive", _flag),
}
"""What `consumerProperties` may hold, in the spelling of the Java client's configuration, and what it is in Python's."""


def refused_properties(names: Iterable[str]) -> list[str]:
    """Return the names among `consumerProperties` that the client for Python has nothing for."""
    return sorted(set(names) - set(_PROPERTIES))


def has_queue(spec: ConsumerSpec) -> bool:
    """Tell whether the client receives messages ahead."""
    return not spec.HasField("receiverQueueSize") or spec.receiverQueueSize.value > 0


def subscribe(
    client: pulsar.Client,
    settings: InstanceSettings,
    topic: str,
    spec: ConsumerSpec,
    reading: Reading,
    import_module: Importer,
) -> pulsar.Consumer:
    """Subscribe to one input. Raises BootError for what no retry mends, PulsarException for the rest."""
    details = settings.details
    options = consumer_options(settings, spec, import_module)
    try:
        consumer = client.subscribe(
            re.compile(topic) if spec.isRegexPattern else topic,
            details.source.subscriptionName or settings.fqfn,
            schema=reading.schema,
            **options,
        )
        if details.source.skipToLatest:
            consumer.seek(pulsar.MessageId.latest)
    except (re.error, pulsar.InvalidTopicName, pulsar.InvalidConfiguration, pulsar.IncompatibleSchema) as error:
        raise BootError(f"the input {topic!r} can't be subscribed to: {error}") from error
    except (ValueError, TypeError) as error:
        raise BootError(f"the input {topic!r} can't be subscribed to: {error}") from error
    return consumer


def consumer_options(settings: InstanceSettings, spec: ConsumerSpec, import_module: Importer) -> dict[str, Any]:
    """Return the client's options for an input. Raises BootError for what it has none for."""
    source = settings.details.source
    options: dict[str, Any] = {
        "consumer_type": consumer_type(settings.details),
        "initial_position": _position(settings.details),
        "properties": instance_properties(settings),
        # Where the broker supports it, a half processed entry is not redelivered whole.
        "batch_index_ack_enabled": True,
    }
    if source.timeoutMs > 0:
        options["unacked_messages_timeout_ms"] = source.timeoutMs
    if source.negativeAckRedeliveryDelayMs > 0:
        options["negative_ack_redelivery_delay_ms"] = source.negativeAckRedeliveryDelayMs
    if settings.details.processingGuarantees == EFFECTIVELY_ONCE:
        options["receiver_queue_size"] = _ORDERED_QUEUE
    options |= _from_properties(spec.consumerProperties)
    if spec.HasField("receiverQueueSize"):
        options["receiver_queue_size"] = spec.receiverQueueSize.value
    if spec.HasField("cryptoSpec"):
        options |= decryption_options(spec.cryptoSpec, import_module)
    return options


def _from_properties(properties: Mapping[str, str]) -> dict[str, Any]:
    refused = refused_properties(properties)
    if refused:
        raise BootError(
            f"consumerProperties {', '.join(refused)}: the client for Python has no such option; "
            f"there are {', '.join(_PROPERTIES)}"
        )
    options = {}
    for name, text in properties.items():
        option, read = _PROPERTIES[name]
        try:
            options[option] = read(text)
        except (ValueError, KeyError, AttributeError):
            raise BootError(f"consumerProperties: {name} can't be {text!r}") from None
    return options


def _position(details: FunctionDetails) -> pulsar.InitialPosition:
    earliest = details.source.subscriptionPosition == EARLIEST
    return pulsar.InitialPosition.Earliest if earliest else pulsar.InitialPosition.Latest


def consumer_type(details: FunctionDetails) -> pulsar.ConsumerType:
    """Return the kind of subscription that the wished order and guarantee need."""
    source = details.source
    in_order = details.retainOrdering or details.processingGuarantees == EFFECTIVELY_ONCE
    if source.subscriptionType == FAILOVER or in_order:
        return pulsar.ConsumerType.Failover
    if source.subscriptionType == KEY_SHARED or details.retainKeyOrdering:
        return pulsar.ConsumerType.KeyShared
    return pulsar.ConsumerType.Shared
