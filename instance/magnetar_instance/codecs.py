"""From a message to what a function gets, and from what it returns to bytes: by schema or by SerDe."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pulsar.schema import BytesSchema, Schema

from magnetar_instance.functions import UserFunction
from magnetar_instance.proto.function import ConsumerSpec, FunctionDetails
from magnetar_instance.schemas import import_class, is_protobuf, is_record, schema_for
from magnetar_instance.serde import SerDe, serde_for


@dataclass(frozen=True)
class Reading:
    """How an input's messages are read, and the schema that its topic is subscribed with."""

    schema: Schema
    decode: Callable[[Any], object]


@dataclass(frozen=True)
class Writing:
    """How results are written, and the schema that their topic is produced with; None drops a result."""

    schema: Schema
    encode: Callable[[object], bytes | None]


def reading_of(spec: ConsumerSpec, details: FunctionDetails, function: UserFunction) -> Reading:
    """Return how an input is read. Raises BootError."""
    record = _record(details.source.typeClassName, function.input_type, function)
    kind = spec.schemaType or _implied(spec.serdeClassName, function.input_type)
    schema = schema_for(kind, record, spec.schemaProperties, function.import_module, function.input_type)
    if schema is not None:
        return Reading(schema, schema.decode_message)
    serde = serde_for(spec.serdeClassName, spec.schemaType, function.import_module)
    return Reading(BytesSchema(), _data_through(serde))


def writing_of(details: FunctionDetails, function: UserFunction) -> Writing:
    """Return how results are written. Raises BootError."""
    sink = details.sink
    record = _record(sink.typeClassName, function.output_type, function)
    kind = sink.schemaType or _implied(sink.serDeClassName, function.output_type)
    schema = schema_for(kind, record, sink.schemaProperties, function.import_module, function.output_type)
    if schema is not None:
        return Writing(schema, schema.encode)
    return Writing(BytesSchema(), serde_for(sink.serDeClassName, sink.schemaType, function.import_module).serialize)


def _record(class_name: str, annotated: object, function: UserFunction) -> type | None:
    """Return the class of records: the one that is named, else the one that `process` is annotated with."""
    if "." in class_name:
        return import_class(class_name, function.import_module)
    return annotated if isinstance(annotated, type) and (is_record(annotated) or is_protobuf(annotated)) else None


def _implied(serde: str, annotated: object) -> str:
    """Return the schema that an annotation alone asks for: JSON for records, where no SerDe is named.

    Annotations of plain types ask for none: functions that were written for Pulsar live with its guesses.
    """
    return "json" if not serde and is_record(annotated) else ""


def _data_through(serde: SerDe) -> Callable[[Any], object]:
    deserialize = serde.deserialize
    return lambda message: deserialize(message.data())
