"""Pulsar's schemas by name, for records that are dataclasses, `pulsar.schema.Record`s or protobuf messages."""

import dataclasses
import inspect
import json
import struct
import typing
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import _pulsar
import pulsar.schema
from google.protobuf.message import Message
from pulsar.schema import AvroSchema, BytesSchema, JsonSchema, Record, Schema, StringSchema

from magnetar_instance.errors import BootError
from magnetar_instance.key_values import InlinePairs, SeparatedPairs
from magnetar_instance.records import NoRecordError, definition_of, from_plain, to_plain

Importer = Callable[[str], ModuleType]
_NUMBERS = {"int8": ">b", "int16": ">h", "int32": ">i", "int64": ">q", "float": ">f", "double": ">d"}
_ELSEWHERE = {"auto", "auto_consume", "auto_publish", "boolean", "date", "time", "timestamp", "instant", "protobuf"}
"""Names of Pulsar's that no client for Python has."""
_PLAIN: Mapping[object, str] = {str: "string", int: "int64", float: "double", bytes: "bytes"}
"""The schemas of plain types in a pair."""
_PAIR = 2
_ENCODINGS = {"INLINE": InlinePairs, "SEPARATED": SeparatedPairs}


def schema_for(
    name: str,
    record: type | None,
    properties: Mapping[str, str],
    import_module: Importer,
    annotated: object = None,
) -> Schema | None:
    """Return the schema of a name in any case, or of a class of the function's; None where bytes are bytes.

    `annotated` is what `process` says of the value: a key-value schema takes its two parts from it. Raises BootError when
    the schema can't be had.
    """
    kind = name.lower()
    if kind in {"", "none", "bytes"}:
        return None
    if kind == "string":
        return StringSchema()
    if kind in _NUMBERS:
        return NumberSchema(kind)
    if kind in {"json", "avro", "protobuf_native"}:
        return _record_schema(kind, record)
    if kind in {"key_value", "keyvalue"}:
        return key_value_schema(properties, import_module, annotated)
    if kind in _ELSEWHERE or "." not in name:
        raise BootError(f"schemaType {name!r}: Pulsar's client for Python has no such schema")
    return _own_schema(name, record, properties, import_module)


def _record_schema(kind: str, record: type | None) -> Schema:
    if record is None:
        raise BootError(
            f"schemaType {kind!r} needs the class of its records: name it as type class, or annotate process() with it"
        )
    try:
        if kind == "protobuf_native":
            return pulsar.schema.ProtobufNativeSchema(record)
        if issubclass(record, Record):
            return JsonSchema(record) if kind == "json" else AvroSchema(record)
        if dataclasses.is_dataclass(record):
            return DataclassJsonSchema(record) if kind == "json" else DataclassAvroSchema(record)
    except NoRecordError as error:
        raise BootError(str(error)) from error
    except ImportError as error:
        raise BootError(f"schemaType {kind!r} needs fastavro: have the package ask for it, or install it") from error
    except Exception as error:
        raise BootError(f"no {kind} schema can be made of {record.__name__}: {error}") from error
    raise BootError(
        f"{record.__name__} is neither a dataclass nor a pulsar.schema.Record: {kind} knows no other records"
    )


def is_record(kind: object) -> bool:
    """Tell whether an annotation is a class of records."""
    return isinstance(kind, type) and (issubclass(kind, Record) or dataclasses.is_dataclass(kind))


def is_protobuf(kind: object) -> bool:
    """Tell whether an annotation is a class of protobuf messages."""
    return isinstance(kind, type) and issubclass(kind, Message)


class DataclassJsonSchema(Schema):  # type: ignore[misc] # Pulsar's client has no types
    """Records of a dataclass as JSON."""

    def __init__(self, record: type) -> None:
        super().__init__(record, _pulsar.SchemaType.JSON, definition_of(record), "JSON")

    def encode(self, value: object) -> bytes:
        """Return a record's JSON. Raises TypeError for anything else."""
        self._validate_object_type(value)
        return json.dumps(to_plain(value, text_only=True), separators=(",", ":")).encode()

    def decode(self, data: bytes) -> Any:
        """Return the record of a JSON text."""
        return from_plain(self._record_cls, json.loads(data))


class DataclassAvroSchema(Schema):  # type: ignore[misc]
    """Records of a dataclass in Avro, read with the schema that they were written with."""

    def __init__(self, record: type) -> None:
        definition = definition_of(record)
        super().__init__(record, _pulsar.SchemaType.AVRO, definition, "AVRO")
        self._inner = AvroSchema(None, definition)

    def encode(self, value: object) -> bytes:
        """Return a record in Avro. Raises TypeError for anything else."""
        self._validate_object_type(value)
        return bytes(self._inner.encode(to_plain(value, text_only=False)))

    def decode(self, data: bytes) -> Any:
        """Return the record of some bytes in this very schema."""
        return from_plain(self._record_cls, self._inner.decode(data))

    def decode_message(self, message: Any) -> Any:
        """Return the record of a message, whichever version of the schema it was written with."""
        return from_plain(self._record_cls, self._inner.decode_message(message))

    def attach_client(self, client: Any) -> None:
        """Take the client that looks up versions."""
        super().attach_client(client)
        self._inner.attach_client(client)


class NumberSchema(Schema):  # type: ignore[misc]
    """One of Pulsar's numbers, in the byte order of Java."""

    def __init__(self, name: str) -> None:
        super().__init__(object, getattr(_pulsar.SchemaType, name.upper()), None, name.upper())
        self._struct = struct.Struct(_NUMBERS[name])

    def encode(self, value: float) -> bytes:
        """Return a number's bytes. Raises struct.error for what does not fit."""
        return self._struct.pack(value)

    def decode(self, data: bytes) -> Any:
        """Return the number of some bytes."""
        return self._struct.unpack(data)[0]


def key_value_schema(properties: Mapping[str, str], import_module: Importer, annotated: object = None) -> Schema:
    """Return the schema of pairs of a key and a value.

    `schemaProperties`: `key.schema.type` and `value.schema.type` name schemas, `key.class` and `value.class` the classes
    of their records; what they leave out is taken from an annotation such as `tuple[str, Person]`. `kv.encoding.type` is
    INLINE or SEPARATED. Raises BootError.
    """
    hints = typing.get_args(annotated) if typing.get_origin(annotated) is tuple else ()
    hints = hints if len(hints) == _PAIR else (None, None)
    key, value = (_part(properties, *each, import_module) for each in zip(("key", "value"), hints, strict=True))
    encoding = properties.get("kv.encoding.type", "INLINE").upper()
    if encoding not in _ENCODINGS:
        raise BootError(f"kv.encoding.type {encoding!r}: there are {' and '.join(_ENCODINGS)}")
    return _ENCODINGS[encoding](key, value)


def _part(properties: Mapping[str, str], part: str, hint: object, import_module: Importer) -> Schema:
    named = properties.get(f"{part}.class", "")
    record = (
        import_class(named, import_module) if named else hint if isinstance(hint, type) and is_record(hint) else None
    )
    kind = properties.get(f"{part}.schema.type", "") or ("json" if record else _PLAIN.get(hint, "bytes"))
    found = schema_for(kind, record, {}, import_module)
    return found or BytesSchema()


def _own_schema(name: str, record: type | None, properties: Mapping[str, str], import_module: Importer) -> Schema:
    """Make a schema of the function's own class, with as many of (record, properties) as its constructor takes."""
    made = import_class(name, import_module)
    arguments = [record, dict(properties)]
    try:
        count = len(inspect.signature(made).parameters)
        schema: Schema = made(*arguments[: min(count, len(arguments))])
    except Exception as error:
        raise BootError(f"the schema class {name!r} can't be made: {error}") from error
    return schema


def import_class(name: str, import_module: Importer) -> type:
    """Import a class by its full name. Raises BootError."""
    module_name, _, class_name = name.rpartition(".")
    try:
        found: type = getattr(import_module(module_name), class_name)
    except Exception as error:
        raise BootError(f"the class {name!r} can't be had: {type(error).__name__}: {error}") from error
    return found
