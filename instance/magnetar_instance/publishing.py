"""Producers of an instance: made when first needed, flushed for a whole round at once."""

import binascii
import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

import _pulsar
import pulsar

from magnetar_instance.delivery import Confirmation
from magnetar_instance.settings import InstanceSettings

_COMPRESSION = {
    0: pulsar.CompressionType.LZ4,
    1: pulsar.CompressionType.NONE,
    2: pulsar.CompressionType.ZLib,
    3: pulsar.CompressionType.ZSTD,
    4: pulsar.CompressionType.SNAPPY,
}
INPUT_TOPIC = "__pfn_input_topic__"
INPUT_ID = "__pfn_input_msg_id__"
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_BATCHING_DELAY_MS = 10
_PENDING = 10_000
SURE_SIZE = 64 * 1024
"""Bytes up to which a message is sent without a callback: brokers take so much whatever their limit is set to.

A message over the broker's limit (5 MiB by default) that was sent without a callback vanishes without a word: a flush
after it answers Ok.
"""

Apart = Callable[[], Confirmation | None]
"""Gives the confirmation of the input being processed, None where there is no such input."""


class Publisher:
    """All producers of one instance by topic, and which of them have something to flush."""

    def __init__(
        self,
        client: pulsar.Client,
        settings: InstanceSettings,
        logger: logging.Logger,
        failed: Callable[[str], None],
    ) -> None:
        self._client = client
        self._settings = settings
        self._sink = settings.details.sink.topic
        self._logger = logger
        self._failed = failed
        self._producers: dict[str, pulsar.Producer] = {}
        self._unflushed: dict[str, pulsar.Producer] = {}
        self._lock = threading.Lock()

    def send_result(self, data: bytes, topic: str, identity: bytes, apart: Apart) -> None:
        """Hand over what the function returned for the message of a topic. Raises the client's exceptions."""
        producer = self._unflushed.get(self._sink)
        if producer is None:
            producer = self._unflushed[self._sink] = self.producer(self._sink)
        builder = _pulsar.MessageBuilder()
        builder.content(data)
        builder.property(INPUT_TOPIC, topic)
        builder.property(INPUT_ID, binascii.b2a_base64(identity, newline=False).translate(_URL_SAFE).decode())
        if len(data) <= SURE_SIZE:
            producer._producer.send_async(builder.build(), None)  # noqa: SLF001 - the wrapper doubles the cost
        else:
            producer._producer.send_async(builder.build(), self._told(self._sink, apart(), None))  # noqa: SLF001

    def send(self, topic: str, data: bytes, properties: Mapping[str, str], apart: Apart) -> None:
        """Hand a message over. Raises the client's exceptions."""
        producer = self._producers.get(topic) or self.producer(topic)
        builder = _pulsar.MessageBuilder()
        builder.content(data)
        for name, value in properties.items():
            builder.property(name, value)
        self._unflushed[topic] = producer
        if len(data) <= SURE_SIZE:
            producer._producer.send_async(builder.build(), None)  # noqa: SLF001 - the wrapper doubles the cost
        else:
            producer._producer.send_async(builder.build(), self._told(topic, apart(), None))  # noqa: SLF001

    def send_with_options(
        self,
        topic: str,
        data: bytes,
        apart: Apart,
        callback: Callable[..., None] | None = None,
        **options: Any,
    ) -> None:
        """Send a message with anything that the client's `send_async` takes; its outcome is heard of by itself."""
        producer = self.producer(topic)
        self._unflushed[topic] = producer
        producer.send_async(data, self._told(topic, apart(), callback), **options)

    def _told(
        self, topic: str, confirmation: Confirmation | None, callback: Callable[..., None] | None
    ) -> Callable[[pulsar.Result, Any], None]:
        """Return a callback for the client, which lets no exception of the function's own callback through."""
        if confirmation is not None:
            confirmation.expect()

        def answered(result: pulsar.Result, identity: Any) -> None:
            try:
                if callback is not None:
                    callback(result, identity)
            except Exception:
                self._logger.exception("the callback of a message to %s failed", topic)
            if confirmation is not None:
                confirmation.answer(result)
            elif result != pulsar.Result.Ok:
                self._failed(f"a message to {topic} was not confirmed: {result}")

        return answered

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

    def unflushed(self) -> list[Any]:
        """Return the client's producers that something was sent to since the last call."""
        if not self._unflushed:
            return []
        producers, self._unflushed = self._unflushed, {}
        return [producer._producer for producer in producers.values()]  # noqa: SLF001 - it alone has flush_async

    def close(self) -> None:
        """Close the producers."""
        for producer in self._producers.values():
            with contextlib.suppress(pulsar.PulsarException):
                producer.close()
        self._producers.clear()


def origin_properties(message: Any) -> dict[str, str]:
    """Return the properties that tell which input an output came from, as Pulsar's Python instance spells them."""
    identity = binascii.b2a_base64(message.message_id().serialize(), newline=False).translate(_URL_SAFE).decode()
    return {INPUT_TOPIC: message.topic_name(), INPUT_ID: identity}
