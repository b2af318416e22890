"""From the shared message back to a function's config, losing nothing that the message holds."""

import json
from collections.abc import Mapping
from typing import Any

from magnetar_instance.proto import enum_values
from magnetar_instance.proto.function import (
    BatchingSpec,
    ConsumerSpec,
    CryptoSpec,
    FunctionDetails,
    ProducerSpec,
)
from magnetar_instance.settings import PENDING_KEY

from magnetar.model.details import BUILTIN, WINDOW_EXECUTOR, WINDOW_KEY
from magnetar.model.function import FunctionConfig
from magnetar.model.parts import (
    BatchingConfig,
    ConsumerConfig,
    CryptoConfig,
    MessagePayloadProcessorConfig,
    ProducerConfig,
    Resources,
    WindowConfig,
)

_GUARANTEES = enum_values("proto.ProcessingGuarantees")
_POSITIONS = enum_values("proto.SubscriptionPosition")
_COMPRESSIONS = enum_values("proto.CompressionType")
_RUNTIMES = enum_values("proto.FunctionDetails.Runtime")
_FAILURE_ACTIONS = enum_values("proto.CryptoSpec.FailureAction")

LOSSES: dict[str, str] = {
    "maxPendingAsyncRequests": "a Python function's own comes back; for Java the worker's key of that name rules",
    "exposePulsarAdminClientEnabled": "the message has no field for it: the worker's exposeAdminClientEnabled rules",
    "fqfn": "it comes back as tenant, namespace and name",
    "jar": "the package is known by its location; a builtin's name comes back",
    "py": "the package is known by its location",
    "go": "the package is known by its location",
    "functionType": "it comes back as jar with builtin://",
    "inputs": "they come back in inputSpecs",
    "topicsPattern": "it comes back in inputSpecs",
    "customSerdeInputs": "they come back in inputSpecs",
    "customSchemaInputs": "they come back in inputSpecs",
    "customSchemaOutputs": "it comes back as outputSchemaType",
    "batchBuilder": "it comes back in producerConfig",
}


def to_config(details: FunctionDetails) -> FunctionConfig:
    """Return the config that a function's details hold; `LOSSES` names the fields that come back otherwise."""
    source, sink = details.source, details.sink
    user_config, window = _user_config(details)
    pending = user_config.pop(PENDING_KEY, None)
    retries = details.retryDetails if details.HasField("retryDetails") else None
    guarantees = _name(_GUARANTEES, details.processingGuarantees)
    if window and window.processing_guarantees:
        guarantees = window.processing_guarantees
    return FunctionConfig.model_validate(
        {
            "tenant": details.tenant,
            "namespace": details.namespace,
            "name": details.name,
            "className": (window.actual_window_function_class_name if window else details.className) or None,
            "runtime": _name(_RUNTIMES, details.runtime),
            "jar": f"{BUILTIN}{details.builtin}" if details.builtin else None,
            "inputSpecs": {topic: _consumer(spec) for topic, spec in source.inputSpecs.items()},
            "inputTypeClassName": source.typeClassName or None,
            "output": sink.topic or None,
            "outputTypeClassName": sink.typeClassName or None,
            "outputSerdeClassName": sink.serDeClassName or None,
            "outputSchemaType": sink.schemaType or None,
            "customSchemaOutputs": _custom_output(details),
            "producerConfig": _producer(sink.producerSpec),
            "logTopic": details.logTopic or None,
            "processingGuarantees": guarantees,
            "retainOrdering": details.retainOrdering,
            "retainKeyOrdering": details.retainKeyOrdering,
            "forwardSourceMessageProperty": sink.forwardSourceMessageProperty,
            "userConfig": user_config,
            "maxPendingAsyncRequests": pending,
            "secrets": _read(details.secretsMap) or None,
            "autoAck": details.autoAck,
            "maxMessageRetries": retries.maxMessageRetries if retries else None,
            "deadLetterTopic": (retries.deadLetterTopic or None) if retries else None,
            "subName": source.subscriptionName or None,
            "parallelism": details.parallelism,
            "resources": _resources(details),
            "windowConfig": _without_own_fields(window),
            "timeoutMs": source.timeoutMs or None,
            "cleanupSubscription": source.cleanupSubscription,
            "runtimeFlags": details.runtimeFlags or None,
            "customRuntimeOptions": details.customRuntimeOptions or None,
            "subscriptionPosition": _name(_POSITIONS, source.subscriptionPosition).capitalize(),
            "skipToLatest": source.skipToLatest,
        }
    )


def _name(values: Mapping[str, int], number: int) -> str:
    return next(name for name, value in values.items() if value == number)


def _read(text: str) -> dict[str, Any]:
    return dict(json.loads(text)) if text else {}


def _user_config(details: FunctionDetails) -> tuple[dict[str, Any], WindowConfig | None]:
    values = _read(details.userConfig)
    if details.className == WINDOW_EXECUTOR and WINDOW_KEY in values:
        return values, WindowConfig.model_validate(values.pop(WINDOW_KEY))
    return values, None


def _without_own_fields(window: WindowConfig | None) -> WindowConfig | None:
    return window and window.model_copy(
        update={"actual_window_function_class_name": None, "processing_guarantees": None}
    )


def _resources(details: FunctionDetails) -> Resources | None:
    if not details.HasField("resources"):
        return None
    return Resources(cpu=details.resources.cpu, ram=details.resources.ram, disk=details.resources.disk)


def _consumer(spec: ConsumerSpec) -> ConsumerConfig:
    processor = spec.messagePayloadProcessorSpec if spec.HasField("messagePayloadProcessorSpec") else None
    return ConsumerConfig(
        schema_type=spec.schemaType or None,
        serde_class_name=spec.serdeClassName or None,
        regex_pattern=spec.isRegexPattern,
        schema_properties=dict(spec.schemaProperties),
        consumer_properties=dict(spec.consumerProperties),
        receiver_queue_size=spec.receiverQueueSize.value if spec.HasField("receiverQueueSize") else None,
        crypto_config=_crypto(spec.cryptoSpec) if spec.HasField("cryptoSpec") else None,
        message_payload_processor_config=MessagePayloadProcessorConfig(
            class_name=processor.className or None, config=_read(processor.configs)
        )
        if processor
        else None,
        pool_messages=spec.poolMessages or None,
    )


def _custom_output(details: FunctionDetails) -> dict[str, str] | None:
    """Return what a schema's name alone can't carry: the properties of the output's schema."""
    sink = details.sink
    if not sink.schemaProperties and not sink.consumerProperties:
        return None
    custom = ConsumerConfig(
        schema_type=sink.schemaType or None,
        schema_properties=dict(sink.schemaProperties),
        consumer_properties=dict(sink.consumerProperties),
    )
    return {sink.topic: custom.model_dump_json(by_alias=True, exclude_none=True)}


def _producer(spec: ProducerSpec) -> ProducerConfig:
    return ProducerConfig.model_validate(
        {
            "maxPendingMessages": spec.maxPendingMessages or None,
            "maxPendingMessagesAcrossPartitions": spec.maxPendingMessagesAcrossPartitions or None,
            "useThreadLocalProducers": spec.useThreadLocalProducers,
            "cryptoConfig": _crypto(spec.cryptoSpec) if spec.HasField("cryptoSpec") else None,
            "batchBuilder": spec.batchBuilder,
            "compressionType": _name(_COMPRESSIONS, spec.compressionType),
            "batchingConfig": _batching(spec.batchingSpec) if spec.HasField("batchingSpec") else None,
        }
    )


def _batching(spec: BatchingSpec) -> BatchingConfig:
    switch = spec.roundRobinRouterBatchingPartitionSwitchFrequency
    return BatchingConfig(
        enabled=spec.enabled,
        batching_max_publish_delay_ms=spec.batchingMaxPublishDelayMs or None,
        round_robin_router_batching_partition_switch_frequency=switch or None,
        batching_max_messages=spec.batchingMaxMessages or None,
        batching_max_bytes=spec.batchingMaxBytes or None,
        batch_builder=spec.batchBuilder or None,
    )


def _crypto(spec: CryptoSpec) -> CryptoConfig:
    return CryptoConfig.model_validate(
        {
            "cryptoKeyReaderClassName": spec.cryptoKeyReaderClassName or None,
            "cryptoKeyReaderConfig": _read(spec.cryptoKeyReaderConfig),
            "encryptionKeys": tuple(spec.producerEncryptionKeyName),
            "producerCryptoFailureAction": _name(_FAILURE_ACTIONS, spec.producerCryptoFailureAction),
            "consumerCryptoFailureAction": _name(_FAILURE_ACTIONS, spec.consumerCryptoFailureAction),
        }
    )
