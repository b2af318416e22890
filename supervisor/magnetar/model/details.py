"""From a function's config to the message that workers and instances share."""

import json
from collections.abc import Mapping
from typing import Any

from magnetar_instance.proto.function import (
    BatchingSpec,
    ConsumerSpec,
    CryptoSpec,
    FunctionDetails,
    MessagePayloadProcessorSpec,
    ProducerSpec,
    Resources,
    RetryDetails,
    SinkSpec,
    SourceSpec,
)
from magnetar_instance.settings import DEFAULT_PENDING, PENDING_KEY
from pydantic import ValidationError

from magnetar.errors import RefusedError
from magnetar.model.function import FunctionConfig
from magnetar.model.parts import (
    BatchingConfig,
    ConsumerConfig,
    CryptoConfig,
    MessagePayloadProcessorConfig,
    ProducerConfig,
    WindowConfig,
)

BUILTIN = "builtin://"
WINDOW_KEY = "__WINDOWCONFIGS__"
WINDOW_EXECUTOR = "org.apache.pulsar.functions.windowing.WindowFunctionExecutor"
DEFAULT_CPU, DEFAULT_RAM, DEFAULT_DISK = 1.0, 2**30, 10 * 2**30


def to_details(config: FunctionConfig) -> FunctionDetails:
    """Return the details of a config that was inferred and validated; `from_details.LOSSES` names what has no place."""
    details = FunctionDetails(
        tenant=config.tenant or "",
        namespace=config.namespace or "",
        name=config.name or "",
        className=config.class_name or "",
        logTopic=config.log_topic or "",
        processingGuarantees=config.processing_guarantees or "ATLEAST_ONCE",
        userConfig=_json(config.user_config),
        secretsMap=_json(config.secrets),
        runtime=config.runtime or "JAVA",
        autoAck=config.auto_ack is not False,
        parallelism=config.parallelism or 1,
        runtimeFlags=config.runtime_flags or "",
        customRuntimeOptions=config.custom_runtime_options or "",
        componentType="FUNCTION",
        retainOrdering=bool(config.retain_ordering),
        retainKeyOrdering=bool(config.retain_key_ordering),
        builtin=_builtin(config),
        resources=_resources(config),
        source=_source(config),
        sink=_sink(config),
    )
    if config.max_message_retries is not None and config.max_message_retries >= 0:
        retries = RetryDetails(
            maxMessageRetries=config.max_message_retries, deadLetterTopic=config.dead_letter_topic or ""
        )
        details.retryDetails.CopyFrom(retries)
    if config.runtime == "PYTHON" and config.max_pending_async_requests not in (None, DEFAULT_PENDING):
        details.userConfig = _json({**(config.user_config or {}), PENDING_KEY: config.max_pending_async_requests})
    if config.window_config:
        _put_window(details, config, config.window_config)
    return details


def consumers(config: FunctionConfig) -> dict[str, ConsumerConfig]:
    """Return every input with how it is consumed, from the five ways to name one; `inputSpecs` wins."""
    found = {topic: ConsumerConfig() for topic in config.inputs or ()}
    if config.topics_pattern:
        found[config.topics_pattern] = ConsumerConfig(regex_pattern=True)
    for topic, serde in (config.custom_serde_inputs or {}).items():
        found[topic] = ConsumerConfig(serde_class_name=serde)
    for topic, text in (config.custom_schema_inputs or {}).items():
        found[topic] = read_custom_schema("customSchemaInputs", topic, text)
    return found | (config.input_specs or {})


def read_custom_schema(field: str, topic: str, text: str) -> ConsumerConfig:
    """Return the consumer config that a string inside `customSchemaInputs` or `customSchemaOutputs` holds."""
    try:
        return ConsumerConfig.model_validate_json(text)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"]
        raise RefusedError(
            f"Incorrect custom schema: {field}[{topic!r}] is {text!r}: {reason}; write a consumer config in JSON"
        ) from None


def subscription_type(config: FunctionConfig) -> str:
    """Return the kind of subscription that the wished order and guarantee need."""
    if config.retain_ordering or config.processing_guarantees == "EFFECTIVELY_ONCE":
        return "FAILOVER"
    return "KEY_SHARED" if config.retain_key_ordering else "SHARED"


def _json(values: Mapping[str, Any] | None) -> str:
    return json.dumps(dict(values), ensure_ascii=False, separators=(",", ":")) if values else ""


def _builtin(config: FunctionConfig) -> str:
    jar = config.jar or ""
    return jar.removeprefix(BUILTIN) if jar.startswith(BUILTIN) else config.function_type or ""


def _resources(config: FunctionConfig) -> Resources:
    asked = config.resources
    return Resources(
        cpu=DEFAULT_CPU if asked is None or asked.cpu is None else asked.cpu,
        ram=DEFAULT_RAM if asked is None or asked.ram is None else asked.ram,
        disk=DEFAULT_DISK if asked is None or asked.disk is None else asked.disk,
    )


def _source(config: FunctionConfig) -> SourceSpec:
    return SourceSpec(
        subscriptionType=subscription_type(config),
        typeClassName=config.input_type_class_name or "",
        timeoutMs=config.timeout_ms or 0,
        # Pulsar lets the timeout be the wait before a message that failed comes again, too.
        negativeAckRedeliveryDelayMs=config.timeout_ms or 0,
        subscriptionName=config.sub_name or "",
        inputSpecs={topic: _consumer(each) for topic, each in consumers(config).items()},
        cleanupSubscription=config.cleanup_subscription is not False,
        subscriptionPosition=(config.subscription_position or "Latest").upper(),
        skipToLatest=bool(config.skip_to_latest),
    )


def _consumer(config: ConsumerConfig) -> ConsumerSpec:
    spec = ConsumerSpec(
        schemaType=config.schema_type or "",
        serdeClassName=config.serde_class_name or "",
        isRegexPattern=config.regex_pattern,
        schemaProperties=config.schema_properties,
        consumerProperties=config.consumer_properties,
        poolMessages=bool(config.pool_messages),
    )
    if config.receiver_queue_size is not None:
        spec.receiverQueueSize.value = config.receiver_queue_size
    if config.crypto_config:
        spec.cryptoSpec.CopyFrom(_crypto(config.crypto_config))
    if config.message_payload_processor_config:
        spec.messagePayloadProcessorSpec.CopyFrom(_processor(config.message_payload_processor_config))
    return spec


def _processor(config: MessagePayloadProcessorConfig) -> MessagePayloadProcessorSpec:
    return MessagePayloadProcessorSpec(className=config.class_name or "", configs=_json(config.config))


def _sink(config: FunctionConfig) -> SinkSpec:
    custom = output_schema(config)
    return SinkSpec(
        topic=config.output or "",
        typeClassName=config.output_type_class_name or "",
        serDeClassName=config.output_serde_class_name or "",
        schemaType=config.output_schema_type or custom.schema_type or "",
        schemaProperties=custom.schema_properties,
        consumerProperties=custom.consumer_properties,
        forwardSourceMessageProperty=bool(config.forward_source_message_property),
        producerSpec=_producer(config.producer_config or ProducerConfig(), config.batch_builder),
    )


def output_schema(config: FunctionConfig) -> ConsumerConfig:
    """Return what customSchemaOutputs says of the output. Raises RefusedError for what is no JSON."""
    text = (config.custom_schema_outputs or {}).get(config.output or "")
    return read_custom_schema("customSchemaOutputs", config.output or "", text) if text else ConsumerConfig()


def _producer(config: ProducerConfig, batch_builder: str | None) -> ProducerSpec:
    spec = ProducerSpec(
        maxPendingMessages=config.max_pending_messages or 0,
        maxPendingMessagesAcrossPartitions=config.max_pending_messages_across_partitions or 0,
        useThreadLocalProducers=bool(config.use_thread_local_producers),
        batchBuilder=config.batch_builder or batch_builder or "",
        compressionType=config.compression_type or "LZ4",
    )
    if config.crypto_config:
        spec.cryptoSpec.CopyFrom(_crypto(config.crypto_config))
    if config.batching_config:
        spec.batchingSpec.CopyFrom(_batching(config.batching_config))
    return spec


def _batching(config: BatchingConfig) -> BatchingSpec:
    return BatchingSpec(
        enabled=config.enabled,
        batchingMaxPublishDelayMs=config.batching_max_publish_delay_ms or 0,
        roundRobinRouterBatchingPartitionSwitchFrequency=config.round_robin_router_batching_partition_switch_frequency
        or 0,
        batchingMaxMessages=config.batching_max_messages or 0,
        batchingMaxBytes=config.batching_max_bytes or 0,
        batchBuilder=config.batch_builder or "",
    )


def _crypto(config: CryptoConfig) -> CryptoSpec:
    return CryptoSpec(
        cryptoKeyReaderClassName=config.crypto_key_reader_class_name or "",
        cryptoKeyReaderConfig=_json(config.crypto_key_reader_config),
        producerEncryptionKeyName=config.encryption_keys or (),
        producerCryptoFailureAction=config.producer_crypto_failure_action or "FAIL",
        consumerCryptoFailureAction=config.consumer_crypto_failure_action or "FAIL",
    )


def _put_window(details: FunctionDetails, config: FunctionConfig, window: WindowConfig) -> None:
    """Hide the window in the user config, where the executor of windows looks for it."""
    inner = window.model_copy(
        update={
            "actual_window_function_class_name": config.class_name,
            "processing_guarantees": config.processing_guarantees or "ATLEAST_ONCE",
        }
    ).model_dump(mode="json", by_alias=True, exclude_none=True)
    details.userConfig = _json({**json.loads(details.userConfig or "{}"), WINDOW_KEY: inner})
    details.className = WINDOW_EXECUTOR
    details.MergeFrom(FunctionDetails(processingGuarantees="MANUAL"))
