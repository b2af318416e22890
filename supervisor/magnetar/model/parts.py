"""The blocks inside a function's config, as Pulsar's clients send them."""

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, AliasGenerator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

Compression = Literal["NONE", "LZ4", "ZLIB", "ZSTD", "SNAPPY"]
FailureAction = Literal["FAIL", "DISCARD", "CONSUME", "SEND"]
Guarantees = Literal["ATLEAST_ONCE", "ATMOST_ONCE", "EFFECTIVELY_ONCE", "MANUAL"]
Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]


class Part(BaseModel):
    """A block of JSON: snake_case here, camelCase there; unknown keys are passed over, null is absence."""

    model_config = ConfigDict(
        frozen=True,
        alias_generator=AliasGenerator(alias=to_camel),
        populate_by_name=True,
        extra="ignore",
        protected_namespaces=(),
    )


class CryptoConfig(Part):
    """How messages are encrypted or decrypted."""

    crypto_key_reader_class_name: str | None = None
    crypto_key_reader_config: dict[str, Any] | None = None
    encryption_keys: tuple[str, ...] | None = None
    producer_crypto_failure_action: FailureAction | None = None
    consumer_crypto_failure_action: FailureAction | None = None


class MessagePayloadProcessorConfig(Part):
    """Which class takes payloads apart."""

    class_name: str | None = None
    config: dict[str, Any] | None = None


class ConsumerConfig(Part):
    """How one input is consumed."""

    schema_type: str | None = None
    serde_class_name: str | None = None
    regex_pattern: bool = Field(
        default=False,
        validation_alias=AliasChoices("regexPattern", "isRegexPattern", "regex_pattern"),
        serialization_alias="regexPattern",
    )
    schema_properties: dict[str, str] = Field(default_factory=dict)
    consumer_properties: dict[str, str] = Field(default_factory=dict)
    receiver_queue_size: Int32 | None = None
    crypto_config: CryptoConfig | None = None
    message_payload_processor_config: MessagePayloadProcessorConfig | None = None
    pool_messages: bool | None = None


class BatchingConfig(Part):
    """How a producer batches."""

    enabled: bool = True
    batching_max_publish_delay_ms: Int32 | None = 10
    round_robin_router_batching_partition_switch_frequency: Int32 | None = None
    batching_max_messages: Int32 | None = None
    batching_max_bytes: Int32 | None = None
    batch_builder: str | None = None


class ProducerConfig(Part):
    """How output is produced."""

    max_pending_messages: Int32 | None = None
    max_pending_messages_across_partitions: Int32 | None = None
    use_thread_local_producers: bool | None = None
    crypto_config: CryptoConfig | None = None
    batch_builder: str | None = None
    compression_type: Compression | None = None
    batching_config: BatchingConfig | None = None


class WindowConfig(Part):
    """How messages are gathered before a call."""

    window_length_count: Int32 | None = None
    window_length_duration_ms: Int64 | None = None
    sliding_interval_count: Int32 | None = None
    sliding_interval_duration_ms: Int64 | None = None
    late_data_topic: str | None = None
    max_lag_ms: Int64 | None = None
    watermark_emit_interval_ms: Int64 | None = None
    timestamp_extractor_class_name: str | None = None
    actual_window_function_class_name: str | None = None
    processing_guarantees: Guarantees | None = None


class Resources(Part):
    """What one instance may use: cores, bytes, bytes."""

    cpu: float | None = None
    ram: Int64 | None = None
    disk: Int64 | None = None
