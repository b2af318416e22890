"""Producers of an instance: made when first needed, flushed for a whole round at once."""

import contextlib
import logging
import threading
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import pulsar
from _pulsar import MessageBuilder
from pulsar.schema import BytesSchema, Schema

from magnetar_instance.delivery import Confirmation
from magnetar_instance.key_values import SeparatedPairs
from magnetar_instance.messages import KeyedBuilder, build
from magnetar_instance.producing import producer_options, sink_compression
from magnetar_instance.schemas import Importer
from magnetar_instance.settings import InstanceSettings

SURE_SIZE = 64 * 1024
"""Bytes up to which a message is sent without a callback: brokers take so much whatever their limit is set to.

A message over the broker's limit (5 MiB by default) that was sent without a callback vanishes without a word: a flush
after it answers Ok.
"""

_Key = str | tuple[str, bool]
"""A producer's name here: the output topic, or another topic and whether it is written as the output is."""

Apart = Callable[[], Confirmation | None]
"""Gives the confirmation of the input being processed, None where there is no such input."""


class Publisher:
    """All producers of one instance by topic, and which of them have something to flush."""

    def __init__(
        self,
        client: pulsar.Client,
        settings: InstanceSettings,
        schema: Schema,
        import_module: Importer,
        logger: logging.Logger,
        failed: Callable[[str], None],
    ) -> None:
        self._client = client
        self._sink = settings.details.sink.topic
        self._schema = schema
        self._sink_compression = sink_compression(settings)
        self._options = producer_options(settings, import_module)
        # What the client fails to encrypt vanishes without a word where it was sent without a callback.
        self._sure_size = -1 if "encryption_key" in self._options else SURE_SIZE
        self._logger = logger
        self._failed = failed
        self._producers: dict[_Key, Any] = {}
        self._unflushed: dict[Hashable, Any] = {}
        self._lock = threading.Lock()

    def result_builder(self) -> Callable[[], Any]:
        """Return what makes the client's builder for a result."""
        return KeyedBuilder if isinstance(self._schema, SeparatedPairs) else MessageBuilder

    def due(self) -> float | None:
        """Return after how many seconds `tidy` has something to do, None for never."""
        return None

    def tidy(self) -> None:
        """Close what is not needed any more."""

    def hurry(self) -> None:
        """Wait for nothing any longer: the instance stops."""

    def send_result(self, message: Any, size: int, apart: Apart) -> None:
        """Hand over what the function returned, as a message of so many bytes. Raises the client's exceptions."""
        producer = self._unflushed.get(self._sink)
        if producer is None:
            producer = self._unflushed[self._sink] = self.producer(self._sink)
        if size <= self._sure_size:
            producer.send_async(message, None)
        else:
            producer.send_async(message, self._told(self._sink, apart(), None))

    def send(
        self,
        topic: str,
        data: bytes,
        properties: Mapping[str, str],
        apart: Apart,
        *,
        options: Mapping[str, Any] | None = None,
        compression: pulsar.CompressionType = pulsar.CompressionType.NONE,
        callback: Callable[..., None] | None = None,
        is_result: bool = False,
        alone: bool = False,
    ) -> None:
        """Hand over a message to any topic; `callback` hears of its outcome. Raises the client's exceptions.

        A result is written as the function's output, whatever its topic. What is sent `alone` needs no flush to be
        confirmed: its answer is one of those that `apart` waits for.
        """
        message = build(data, properties, options)
        key: _Key = (topic, is_result) if topic != self._sink else topic
        producer = self._unflushed[key] = self.producer(key, compression)
        if callback is None and not alone and len(data) <= self._sure_size:
            producer.send_async(message, None)
        else:
            producer.send_async(message, self._told(topic, apart(), callback))

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

    def producer(self, key: _Key, compression: pulsar.CompressionType = pulsar.CompressionType.NONE) -> Any:
        """Return the client's own producer of a topic, made at the first call; results are compressed as configured.

        The wrapper class around it has no `flush_async` and doubles the cost of sending.
        """
        with self._lock:
            known = self._producers.get(key)
            if known is None:
                topic, is_result = (key, True) if isinstance(key, str) else key
                made = self._client.create_producer(
                    topic,
                    schema=self._schema if is_result else BytesSchema(),
                    compression_type=self._sink_compression if is_result else compression,
                    **self._options,
                )
                known = self._producers[key] = made._producer  # noqa: SLF001
        return known

    def unflushed(self) -> list[Any]:
        """Return the client's producers that something was sent to since the last call."""
        if not self._unflushed:
            return []
        producers, self._unflushed = self._unflushed, {}
        return list(producers.values())

    def close(self) -> None:
        """Close the producers."""
        with self._lock:
            for producer in self._producers.values():
                with contextlib.suppress(pulsar.PulsarException):
                    producer.close()
            self._producers.clear()
