"""Producers of an instance: made when first needed, flushed for a whole batch at once."""

import base64
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pulsar

from magnetar_instance.settings import InstanceSettings

_COMPRESSION = {
    0: pulsar.CompressionType.LZ4,
    1: pulsar.CompressionType.NONE,
    2: pulsar.CompressionType.ZLib,
    3: pulsar.CompressionType.ZSTD,
    4: pulsar.CompressionType.SNAPPY,
}
_BATCHING_DELAY_MS = 10
_PENDING = 10_000
SLOW_PATH_SIZE = 4 * 1024 * 1024
"""Bytes from which a message is sent by itself and its answer waited for.

Sent without a callback, a message over the broker's limit (5 MiB by default) would vanish without a word.
"""


class Publisher:
    """All producers of one instance by topic, and which of them have something to flush."""

    def __init__(self, client: pulsar.Client, settings: InstanceSettings) -> None:
        self._client = client
        self._settings = settings
        self._producers: dict[str, pulsar.Producer] = {}
        self._unflushed: set[str] = set()
        self._lock = threading.Lock()

    def send(self, topic: str, data: bytes, properties: Mapping[str, str], **options: Any) -> None:
        """Hand a message over; it is confirmed by the next `flush`. Raises the client's exceptions."""
        producer = self.producer(topic)
        if len(data) >= SLOW_PATH_SIZE:
            producer.send(data, properties=dict(properties), **options)
            return
        producer.send_async(data, None, properties=dict(properties), **options)
        self._unflushed.add(topic)

    def send_with_callback(self, topic: str, data: bytes, callback: Callable[..., None], **options: Any) -> None:
        """Send a message whose outcome the function wants to hear of."""
        self.producer(topic).send_async(data, callback, **options)

    def producer(self, topic: str, compression: pulsar.CompressionType | None = None) -> pulsar.Producer:
        """Return the producer of a topic, made at the first call."""
        with self._lock:
            known = self._producers.get(topic)
            if known is None:
                known = self._producers[topic] = self._make(topic, compression)
        return known

    def _make(self, topic: str, compression: pulsar.CompressionType | None) -> pulsar.Producer:
        settings = self._settings
        sink = settings.details.sink
        key_based = sink.producerSpec.batchBuilder == "KEY_BASED"
        chosen = compression or _COMPRESSION.get(sink.producerSpec.compressionType, pulsar.CompressionType.LZ4)
        return self._client.create_producer(
            topic,
            send_timeout_millis=0,
            block_if_queue_full=True,
            max_pending_messages=sink.producerSpec.maxPendingMessages or _PENDING,
            batching_enabled=True,
            batching_max_publish_delay_ms=_BATCHING_DELAY_MS,
            batching_type=pulsar.BatchingType.KeyBased if key_based else pulsar.BatchingType.Default,
            compression_type=chosen,
            properties={
                "application": "pulsar-function",
                "id": settings.fqfn,
                "instance_id": str(settings.instance_id),
            },
        )

    def flush(self, done: Callable[[pulsar.Result], None]) -> int:
        """Flush every producer with something to flush; returns how many answers `done` will get."""
        topics, self._unflushed = self._unflushed, set()
        for topic in topics:
            # The binding has it, the wrapper does not pass it on.
            self._producers[topic]._producer.flush_async(done)  # noqa: SLF001
        return len(topics)

    def close(self) -> None:
        """Close the producers."""
        for producer in self._producers.values():
            producer.close()
        self._producers.clear()


def origin_properties(message: pulsar.Message) -> dict[str, str]:
    """Return the properties that tell which input an output came from, as Pulsar's Python instance spells them."""
    serialized = base64.urlsafe_b64encode(message.message_id().serialize()).decode()
    return {"__pfn_input_topic__": message.topic_name(), "__pfn_input_msg_id__": serialized}
