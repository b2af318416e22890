"""Dataclasses as records: their Avro definition, which Pulsar's JSON and Avro schemas share, and their plain form."""

import dataclasses
import enum
import types
import typing
from typing import Any

_PLAIN = {bool: "boolean", int: "long", float: "double", str: "string", bytes: "bytes"}


class NoRecordError(TypeError):
    """Raised for a type that has no place in a record; the message names the field."""


def definition_of(record: type) -> dict[str, Any]:
    """Return the Avro definition of a dataclass. Raises NoRecordError."""
    named = _type_of(record, record.__name__, set())
    assert isinstance(named, dict)
    return named


def _type_of(kind: Any, where: str, seen: set[type]) -> Any:
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {typing.Union, types.UnionType}:
        return [("null" if each is type(None) else _type_of(each, where, seen)) for each in _null_first(arguments)]
    if origin in {list, tuple, set, frozenset} and arguments:
        return {"type": "array", "items": _type_of(arguments[0], where, seen)}
    if origin is dict and arguments[0] is str:
        return {"type": "map", "values": _type_of(arguments[1], where, seen)}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return {"type": "enum", "name": kind.__name__, "symbols": [each.name for each in kind]}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _record(kind, seen)
    raise NoRecordError(
        f"{where}: {kind!r} has no place in a schema; use bool, int, float, str, bytes, an Enum, a dataclass, "
        "list[...], dict[str, ...] or Optional[...]"
    )


def _null_first(arguments: tuple[Any, ...]) -> list[Any]:
    return sorted(arguments, key=lambda each: each is not type(None))


def _record(kind: type, seen: set[type]) -> Any:
    if kind in seen:
        return kind.__name__
    seen.add(kind)
    hints = typing.get_type_hints(kind)
    fields = []
    for field in dataclasses.fields(kind):
        entry = {"name": field.name, "type": _type_of(hints[field.name], f"{kind.__name__}.{field.name}", seen)}
        if field.default is None:
            entry["default"] = None
        fields.append(entry)
    return {"type": "record", "name": kind.__name__, "fields": fields}


def to_plain(value: Any, *, text_only: bool) -> Any:
    """Return a value as dicts, lists and plain values; `text_only` turns bytes into text, as Pulsar's JSON does."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_plain(getattr(value, field.name), text_only=text_only) for field in dataclasses.fields(value)
        }
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, bytes):
        return value.decode("latin-1") if text_only else value
    if isinstance(value, dict):
        return {key: to_plain(each, text_only=text_only) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(each, text_only=text_only) for each in value]
    return value


def from_plain(kind: Any, plain: Any) -> Any:
    """Return the value of a type from its plain form; fields that the type does not know are passed over."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in {typing.Union, types.UnionType}:
        kinds = [each for each in arguments if each is not type(None)]
        return plain if plain is None or len(kinds) != 1 else from_plain(kinds[0], plain)
    if origin in {list, tuple, set, frozenset}:
        return origin(from_plain(arguments[0], each) for each in plain)
    if origin is dict:
        return {key: from_plain(arguments[1], each) for key, each in plain.items()}
    if isinstance(kind, type):
        return _of_class(kind, plain)
    return plain


def _of_class(kind: type, plain: Any) -> Any:
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{name: from_plain(hint, plain[name]) for name, hint in hints.items() if name in plain})
    if issubclass(kind, enum.Enum):
        return kind[plain]
    if kind is bytes and isinstance(plain, str):
        return plain.encode("latin-1")
    return float(plain) if kind is float and isinstance(plain, int) else plain
