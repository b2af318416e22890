"""Checks of the blocks inside a config: window, resources, consumers and producer."""

import math
from collections.abc import Iterator

from magnetar.model.details import consumers
from magnetar.model.function import FunctionConfig
from magnetar.model.parts import WindowConfig


def check_window(config: FunctionConfig) -> Iterator[str]:
    """Yield what is wrong with the window."""
    window = config.window_config
    if window is None:
        return
    if config.processing_guarantees in ("EFFECTIVELY_ONCE", "MANUAL"):
        yield f"Windows can't be used with {config.processing_guarantees}: choose ATLEAST_ONCE or ATMOST_ONCE"
    yield from _lengths(window)
    if window.timestamp_extractor_class_name:
        if window.max_lag_ms is not None and window.max_lag_ms < 0:
            yield f"Lag duration must be positive: windowConfig.maxLagMs is {window.max_lag_ms}"
        if window.watermark_emit_interval_ms is not None and window.watermark_emit_interval_ms <= 0:
            yield f"Watermark interval must be positive: watermarkEmitIntervalMs is {window.watermark_emit_interval_ms}"


def check_python_window(config: FunctionConfig) -> Iterator[str]:
    """Yield what of a Python function's window would be ignored, as it is in Java."""
    window = config.window_config
    if window is None or config.runtime != "PYTHON":
        return
    count, duration = window.sliding_interval_count, window.sliding_interval_duration_ms
    filled_in = count == window.window_length_count or duration == window.window_length_duration_ms
    if count is not None and duration is not None and not filled_in:
        yield "Sliding interval is given as count and as duration: remove one of them"
    if not window.timestamp_extractor_class_name:
        for name, value in (("lateDataTopic", window.late_data_topic), ("maxLagMs", window.max_lag_ms)):
            if value:
                yield f"windowConfig.{name} needs event time: name a timestampExtractorClassName, or remove it"


def _lengths(window: WindowConfig) -> Iterator[str]:
    if window.window_length_count is None and window.window_length_duration_ms is None:
        yield "Window length is not specified: give windowLengthCount or windowLengthDurationMs"
    if window.window_length_count is not None and window.window_length_duration_ms is not None:
        yield "Window length is given as count and as duration: remove one of them"
    for name, value in (
        ("windowLengthCount", window.window_length_count),
        ("windowLengthDurationMs", window.window_length_duration_ms),
        ("slidingIntervalCount", window.sliding_interval_count),
        ("slidingIntervalDurationMs", window.sliding_interval_duration_ms),
    ):
        if value is not None and value <= 0:
            yield f"Window length and sliding interval must be positive: windowConfig.{name} is {value}"


def check_resources(config: FunctionConfig) -> Iterator[str]:
    """Yield what is wrong with the resources."""
    if config.resources is None:
        return
    for name in ("cpu", "ram", "disk"):
        value = getattr(config.resources, name)
        if value is not None and not (value > 0 and math.isfinite(value)):
            yield f"The {name} resource must be a positive number: resources.{name} is {value}"


def check_blocks(config: FunctionConfig) -> Iterator[str]:
    """Yield what is wrong with how inputs are consumed and output is produced."""
    for topic, consumer in consumers(config).items():
        where = f"inputSpecs[{topic!r}]"
        if consumer.receiver_queue_size is not None and consumer.receiver_queue_size < 0:
            yield f"Receiver queue size should be >= zero: {where}.receiverQueueSize is {consumer.receiver_queue_size}"
        if consumer.crypto_config and not consumer.crypto_config.crypto_key_reader_class_name:
            yield f"CryptoKeyReader class name required: give {where}.cryptoConfig.cryptoKeyReaderClassName"
        processor = consumer.message_payload_processor_config
        if processor and not processor.class_name:
            yield f"Message payload processor class name required: give {where}.messagePayloadProcessorConfig.className"
        if consumer.schema_type and consumer.serde_class_name:
            yield f"Only one of schemaType and serdeClassName can be set: remove one of them from {where}"
    if config.output_schema_type and config.output_serde_class_name:
        yield "Only one of outputSchemaType and outputSerdeClassName can be set: remove one of them"
    yield from _producer(config)


def _producer(config: FunctionConfig) -> Iterator[str]:
    crypto = config.producer_config.crypto_config if config.producer_config else None
    if crypto and not crypto.crypto_key_reader_class_name:
        yield "CryptoKeyReader class name required: give producerConfig.cryptoConfig.cryptoKeyReaderClassName"
    if crypto and not crypto.encryption_keys:
        yield "Encryption keys required: give producerConfig.cryptoConfig.encryptionKeys"
