"""A function's config, as Pulsar's clients send and receive it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from magnetar.errors import RefusedError
from magnetar.model.nearest import unknown_key
from magnetar.model.parts import (
    ConsumerConfig,
    Guarantees,
    Int32,
    Int64,
    Part,
    ProducerConfig,
    Resources,
    WindowConfig,
)

Runtime = Literal["JAVA", "PYTHON", "GO"]
Position = Annotated[
    Literal["Latest", "Earliest"],
    BeforeValidator(lambda value: value.capitalize() if isinstance(value, str) else value),
]


class FunctionConfig(Part):
    """Everything that can be said about a function; None means not given."""

    tenant: str | None = None
    namespace: str | None = None
    name: str | None = None
    fqfn: str | None = None
    class_name: str | None = None
    runtime: Runtime | None = None
    jar: str | None = None
    py: str | None = None
    go: str | None = None
    function_type: str | None = None
    inputs: tuple[str, ...] | None = None
    topics_pattern: str | None = None
    custom_serde_inputs: dict[str, str] | None = None
    custom_schema_inputs: dict[str, str] | None = None
    input_specs: dict[str, ConsumerConfig] | None = None
    input_type_class_name: str | None = None
    output: str | None = None
    output_type_class_name: str | None = None
    output_serde_class_name: str | None = None
    output_schema_type: str | None = None
    custom_schema_outputs: dict[str, str] | None = None
    producer_config: ProducerConfig | None = None
    log_topic: str | None = None
    processing_guarantees: Guarantees | None = None
    retain_ordering: bool | None = None
    retain_key_ordering: bool | None = None
    batch_builder: str | None = None
    forward_source_message_property: bool | None = None
    user_config: dict[str, Any] | None = None
    secrets: dict[str, Any] | None = None
    auto_ack: bool | None = None
    max_message_retries: Int32 | None = None
    dead_letter_topic: str | None = None
    sub_name: str | None = None
    parallelism: Int32 | None = None
    resources: Resources | None = None
    window_config: WindowConfig | None = None
    timeout_ms: Int64 | None = None
    cleanup_subscription: bool | None = None
    runtime_flags: str | None = None
    custom_runtime_options: str | None = None
    max_pending_async_requests: int | None = None
    expose_pulsar_admin_client_enabled: bool | None = None
    subscription_position: Position | None = None
    skip_to_latest: bool | None = Field(default=None)

    def with_changes(self, **changes: Any) -> "FunctionConfig":
        """Return a copy with some fields replaced."""
        return self.model_copy(update=changes)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that clients get: camelCase, without what is not given."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def read_config(raw: Any) -> tuple[FunctionConfig, tuple[str, ...]]:
    """Return the config in a parsed JSON or YAML object and warnings about unknown keys.

    Raises RefusedError that names the field, its value and what would be right.
    """
    if not isinstance(raw, Mapping):
        raise RefusedError(f"functionConfig is a {type(raw).__name__}; send a JSON object")
    try:
        config = FunctionConfig.model_validate(raw)
    except ValidationError as error:
        raise RefusedError(_sentences(error)) from None
    return config, tuple(_unknown(raw, FunctionConfig, ""))


_WORDS = {"tuple_type": "write a list, such as [a, b]"}
"""What to say in the place of the library's sentence, by its type of error."""


def _sentences(error: ValidationError) -> str:
    found = []
    for each in error.errors(include_url=False, include_context=False):
        where = ".".join(map(str, each["loc"]))
        what = _WORDS.get(each["type"], each["msg"])
        found.append(f"{where} is {each['input']!r}: {what[:1].lower()}{what[1:]}")
    return "; ".join(found)


def spellings(model: type[BaseModel]) -> dict[str, str]:
    """Return the clients' spelling of every field by its name here."""
    return {name: field.serialization_alias or field.alias or name for name, field in model.model_fields.items()}


def _unknown(raw: Mapping[Any, Any], model: type[BaseModel], where: str) -> Iterator[str]:
    """Yield a sentence for each key that no field reads, in the blocks too."""
    names = {alias: name for name, alias in spellings(model).items()}
    for key, value in raw.items():
        if key not in names and key not in model.model_fields and key != "isRegexPattern":
            yield unknown_key(where, str(key), names)
        elif isinstance(value, Mapping) and (part := _part(model, names.get(key, str(key)))):
            blocks = value.values() if key in ("inputSpecs", "input_specs") else (value,)
            for block in blocks:
                if isinstance(block, Mapping):
                    yield from _unknown(block, part, f"{where}{key}: ")


def _part(model: type[BaseModel], name: str) -> type[Part] | None:
    """Return the kind of block that a field holds, alone or as values of a mapping."""
    field = model.model_fields.get(name)
    options = get_args(field.annotation) if field else ()
    flat = [each for option in options for each in (option, *get_args(option))]
    return next((each for each in flat if isinstance(each, type) and issubclass(each, Part)), None)
