"""For every field of a function's details, what becomes of it here; a test walks the message and this table.

`instance`: this package acts on it. `worker`: whoever starts instances does. `advice`: accepted, for it changes no result.
`refused`: the instance does not start, and names the field.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from magnetar_instance.proto.function import FunctionDetails

Kind = Literal["instance", "worker", "advice", "refused"]


@dataclass(frozen=True)
class Verdict:
    """What becomes of a field, and why where it is refused or only advice."""

    kind: Kind
    why: str = ""


_CONNECTOR = Verdict("refused", "connectors are written in Java")
_READERS = "only readers use it"
_WRITERS = "only writers use it"
_CRYPTO_KEYS = ("cryptoKeyReaderClassName", "cryptoKeyReaderConfig")


def _of(kind: Kind, prefix: str, *names: str) -> dict[str, Verdict]:
    return {prefix + name: Verdict(kind) for name in names}


FIELDS: Mapping[str, Verdict] = {
    **_of("worker", "", "runtime", "parallelism", "packageUrl", "runtimeFlags", "componentType"),
    **_of("instance", "", "tenant", "namespace", "name", "className", "logTopic", "processingGuarantees", "userConfig"),
    **_of("instance", "", "autoAck", "secretsMap", "customRuntimeOptions", "retainOrdering", "retainKeyOrdering"),
    "builtin": Verdict("refused", "builtin functions are Java archives"),
    "subscriptionPosition": Verdict("advice", "source.subscriptionPosition is the one that acts, in Pulsar too"),
    **dict.fromkeys(
        ("resources.cpu", "resources.ram", "resources.disk"),
        Verdict("advice", "the host confines an instance, or none"),
    ),
    **_of("instance", "retryDetails.", "maxMessageRetries", "deadLetterTopic"),
    "source.className": _CONNECTOR,
    "source.configs": _CONNECTOR,
    "source.builtin": _CONNECTOR,
    **_of("instance", "source.", "subscriptionType", "topicsToSerDeClassName", "typeClassName", "timeoutMs"),
    **_of("instance", "source.", "topicsPattern", "subscriptionName", "subscriptionPosition", "skipToLatest"),
    **_of("instance", "source.", "negativeAckRedeliveryDelayMs"),
    **_of("worker", "source.", "cleanupSubscription"),
    **_of("instance", "source.inputSpecs.", "schemaType", "serdeClassName", "isRegexPattern", "schemaProperties"),
    **_of("instance", "source.inputSpecs.", "consumerProperties", "receiverQueueSize.value"),
    "source.inputSpecs.poolMessages": Verdict("advice", "pooled messages save Java's memory"),
    **dict.fromkeys(
        (f"source.inputSpecs.messagePayloadProcessorSpec.{name}" for name in ("className", "configs")),
        Verdict("refused", "payload processors are Java classes"),
    ),
    **_of("instance", "source.inputSpecs.cryptoSpec.", *_CRYPTO_KEYS, "consumerCryptoFailureAction"),
    "source.inputSpecs.cryptoSpec.producerEncryptionKeyName": Verdict("advice", _WRITERS),
    "source.inputSpecs.cryptoSpec.producerCryptoFailureAction": Verdict("advice", _WRITERS),
    "sink.className": _CONNECTOR,
    "sink.configs": _CONNECTOR,
    "sink.builtin": _CONNECTOR,
    **_of("instance", "sink.", "topic", "serDeClassName", "typeClassName", "schemaType", "schemaProperties"),
    **_of("instance", "sink.", "forwardSourceMessageProperty"),
    "sink.consumerProperties": Verdict("advice", _READERS),
    **_of("instance", "sink.producerSpec.", "maxPendingMessages", "maxPendingMessagesAcrossPartitions"),
    **_of("instance", "sink.producerSpec.", "batchBuilder", "compressionType"),
    "sink.producerSpec.useThreadLocalProducers": Verdict("advice", "an instance has one producer for each topic"),
    **_of("instance", "sink.producerSpec.cryptoSpec.", *_CRYPTO_KEYS, "producerEncryptionKeyName"),
    **_of("instance", "sink.producerSpec.cryptoSpec.", "producerCryptoFailureAction"),
    "sink.producerSpec.cryptoSpec.consumerCryptoFailureAction": Verdict("advice", _READERS),
    **_of("instance", "sink.producerSpec.batchingSpec.", "enabled", "batchingMaxPublishDelayMs", "batchBuilder"),
    **_of("instance", "sink.producerSpec.batchingSpec.", "batchingMaxMessages", "batchingMaxBytes"),
    "sink.producerSpec.batchingSpec.roundRobinRouterBatchingPartitionSwitchFrequency": Verdict(
        "advice", "the client for Python turns to the next partition with each batch"
    ),
}


def refusals(details: FunctionDetails) -> Iterator[str]:
    """Yield a sentence for every field that is set and can't be honoured."""
    for path in set_fields(details):
        verdict = FIELDS[path]
        if verdict.kind == "refused":
            yield f"{path} is refused: {verdict.why}; remove it"


def set_fields(message: Message, prefix: str = "") -> Iterator[str]:
    """Yield the paths of the fields that are set; keys of maps are left out."""
    for field, value in message.ListFields():
        path = prefix + field.name
        if is_map_of_messages(field):
            for each in value.values():
                yield from set_fields(each, f"{path}.")
        elif field.message_type is not None and not is_map(field):
            yield from set_fields(value, f"{path}.")
        else:
            yield path


def all_fields(descriptor: Descriptor, prefix: str = "") -> Iterator[str]:
    """Yield the paths of all fields that a message can have."""
    for field in descriptor.fields:
        path = prefix + field.name
        if is_map_of_messages(field):
            yield from all_fields(_value_of(field), f"{path}.")
        elif field.message_type is not None and not is_map(field):
            yield from all_fields(field.message_type, f"{path}.")
        else:
            yield path


def is_map(field: FieldDescriptor) -> bool:
    """Tell whether a field is a map."""
    kind: Any = field.message_type
    return kind is not None and bool(kind.GetOptions().map_entry)


def is_map_of_messages(field: FieldDescriptor) -> bool:
    """Tell whether a field is a map whose values are messages."""
    return is_map(field) and _value_of(field) is not None


def _value_of(field: FieldDescriptor) -> Any:
    kind: Any = field.message_type
    return kind.fields_by_name["value"].message_type
