"""What an update makes of a function: Pulsar's rules, and nothing lost by what is not given."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from magnetar.errors import RefusedError
from magnetar.model.details import BUILTIN, read_custom_schema
from magnetar.model.function import FunctionConfig, spellings
from magnetar.model.infer import infer
from magnetar.model.parts import ConsumerConfig, ProducerConfig

P = TypeVar("P", bound=BaseModel)
FIXED = {
    "tenant": "Tenants differ",
    "namespace": "Namespaces differ",
    "name": "Function Names differ",
    "output_serde_class_name": "Output Serde mismatch",
    "output_schema_type": "Output Schema mismatch",
    "processing_guarantees": "Processing Guarantees cannot be altered",
    "retain_ordering": "Retain Ordering cannot be altered",
    "retain_key_ordering": "Retain Key Ordering cannot be altered",
    "runtime": "Runtime cannot be altered",
    "auto_ack": "AutoAck cannot be altered",
    "sub_name": "Subscription Name cannot be altered",
}
REPLACED = (
    "class_name",
    "log_topic",
    "output",
    "user_config",
    "secrets",
    "max_message_retries",
    "dead_letter_topic",
    "parallelism",
    "window_config",
    "timeout_ms",
    "cleanup_subscription",
    "runtime_flags",
    "custom_runtime_options",
    "custom_schema_outputs",
    "input_type_class_name",
    "output_type_class_name",
)
MERGED = (
    "inputs",
    "topics_pattern",
    "custom_serde_inputs",
    "custom_schema_inputs",
    "input_specs",
    "resources",
    "producer_config",
    "batch_builder",
    "jar",
)
# Clients send these with defaults or paths of their own, named by the user or not; Pulsar leaves them as they are, too.
KEPT = (
    "py",
    "go",
    "forward_source_message_property",
    "subscription_position",
    "skip_to_latest",
    "fqfn",
    "function_type",
    "max_pending_async_requests",
    "expose_pulsar_admin_client_enabled",
)


class UpdateOptions(BaseModel):
    """The `updateOptions` of an update request."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    update_auth_data: bool = Field(default=False, alias="updateAuthData")


def merge(old: FunctionConfig, new: FunctionConfig) -> FunctionConfig:
    """Return what `new` makes of `old` (as `to_config` gives it); raises RefusedError for what can't change.

    What `new` does not give stays; equality of the result with `old` means that the update contains no change.
    """
    runtime = infer(new).runtime if new.jar or new.py or new.go else new.runtime
    _refuse_changes(old, new.with_changes(runtime=runtime))
    given = {name: getattr(new, name) for name in REPLACED if _is_given(getattr(new, name))}
    if new.jar and new.jar.startswith(BUILTIN):
        given["jar"] = new.jar
    return old.with_changes(
        **given,
        input_specs=_inputs(old, new),
        resources=_over(old.resources, new.resources),
        producer_config=_producer(old, new),
    )


def _is_given(value: Any) -> bool:
    return value is not None and value != ""


def _refuse_changes(old: FunctionConfig, new: FunctionConfig) -> None:
    names = spellings(FunctionConfig)
    for field, sentence in FIXED.items():
        before, after = getattr(old, field), getattr(new, field)
        if _is_given(after) and after != before:
            raise RefusedError(f"{sentence}: {names[field]} is {before!r}, the update says {after!r}; leave it out")


def _inputs(old: FunctionConfig, new: FunctionConfig) -> dict[str, ConsumerConfig]:
    """Return the inputs with the entries that the update gives; a topic that is only named stays as it is."""
    before = dict(old.input_specs or {})
    changed: dict[str, ConsumerConfig] = {}
    for topic, serde in (new.custom_serde_inputs or {}).items():
        changed[topic] = ConsumerConfig(serde_class_name=serde)
    for topic, text in (new.custom_schema_inputs or {}).items():
        changed[topic] = read_custom_schema("customSchemaInputs", topic, text)
    changed |= new.input_specs or {}
    named = dict.fromkeys(new.inputs or (), False) | ({new.topics_pattern: True} if new.topics_pattern else {})
    for topic, is_pattern in {**named, **{topic: each.regex_pattern for topic, each in changed.items()}}.items():
        if topic not in before:
            raise RefusedError(f"Input Topics cannot be altered: {topic!r} is not an input; delete and create instead")
        if before[topic].regex_pattern != is_pattern:
            raise RefusedError(f"isRegexPattern for input topic {topic!r} cannot be altered; leave it out")
    return before | changed


def _producer(old: FunctionConfig, new: FunctionConfig) -> ProducerConfig | None:
    merged = _over(old.producer_config, new.producer_config)
    if new.batch_builder and merged:
        merged = merged.model_copy(update={"batch_builder": new.batch_builder})
    return merged


def _over(old: P | None, new: P | None) -> P | None:
    """Return `old` with the fields that `new` gives."""
    if new is None or old is None:
        return old if new is None else new
    return old.model_copy(update={key: value for key, value in new if value is not None})
