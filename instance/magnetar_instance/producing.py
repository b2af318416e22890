"""The options of an instance's producers."""

from typing import Any

import pulsar

from magnetar_instance.crypto import encryption_options
from magnetar_instance.proto.function import BatchingSpec, ProducerSpec
from magnetar_instance.schemas import Importer
from magnetar_instance.settings import InstanceSettings

_COMPRESSION = {
    0: pulsar.CompressionType.LZ4,
    1: pulsar.CompressionType.NONE,
    2: pulsar.CompressionType.ZLib,
    3: pulsar.CompressionType.ZSTD,
    4: pulsar.CompressionType.SNAPPY,
}
_DELAY_MS = 10
_PENDING = 10_000


def instance_properties(settings: InstanceSettings) -> dict[str, str]:
    """Return the properties that tell the broker's users which instance a client object belongs to."""
    return {"application": "pulsar-function", "id": settings.fqfn, "instance_id": str(settings.instance_id)}


def sink_compression(settings: InstanceSettings) -> pulsar.CompressionType:
    """Return how results are compressed."""
    return _COMPRESSION[settings.details.sink.producerSpec.compressionType]


def producer_options(settings: InstanceSettings, import_module: Importer) -> dict[str, Any]:
    """Return the client's options for every producer of an instance. Raises BootError.

    Nothing is dropped: without a time-out the client sends until the broker answers, and waits where its queue is full.
    """
    spec = settings.details.sink.producerSpec
    options: dict[str, Any] = {
        "send_timeout_millis": 0,
        "block_if_queue_full": True,
        "max_pending_messages": spec.maxPendingMessages if spec.maxPendingMessages > 0 else _PENDING,
        "properties": instance_properties(settings),
        **_batching(spec),
    }
    if spec.maxPendingMessagesAcrossPartitions > 0:
        options["max_pending_messages_across_partitions"] = spec.maxPendingMessagesAcrossPartitions
    if spec.HasField("cryptoSpec"):
        options |= encryption_options(spec.cryptoSpec, import_module)
    return options


def _batching(spec: ProducerSpec) -> dict[str, Any]:
    """Return how messages are batched: as Pulsar does it, but for a flush when nothing waits to be processed."""
    batching = spec.batchingSpec if spec.HasField("batchingSpec") else BatchingSpec(enabled=True)
    if not batching.enabled:
        return {"batching_enabled": False}
    builder = batching.batchBuilder or spec.batchBuilder
    options: dict[str, Any] = {
        "batching_enabled": True,
        "batching_max_publish_delay_ms": batching.batchingMaxPublishDelayMs or _DELAY_MS,
        "batching_type": pulsar.BatchingType.KeyBased if builder == "KEY_BASED" else pulsar.BatchingType.Default,
    }
    if batching.batchingMaxMessages > 0:
        options["batching_max_messages"] = batching.batchingMaxMessages
    if batching.batchingMaxBytes > 0:
        options["batching_max_allowed_size_in_bytes"] = batching.batchingMaxBytes
    return options
