"""Whether one schema can follow another, as Pulsar's registry judges it. Pure."""

import json
from collections.abc import Sequence
from typing import cast

from magnetar_broker.errors import IncompatibleSchemaError

JSON, PROTOBUF, AVRO, KEY_VALUE, PROTOBUF_NATIVE = 2, 3, 4, 15, 20
Typed = tuple[int, bytes]
_PROMOTIONS = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}


def demand_compatible(new: Typed, before: Sequence[Typed], strategy: str) -> None:
    """Raise IncompatibleSchemaError unless `new` can follow `before`, the oldest first, under a strategy of Pulsar's.

    BACKWARD: the new one reads what the last wrote. FORWARD: the last reads what the new one writes. FULL: both; and
    each with _TRANSITIVE: for all before it.
    """
    if strategy == "ALWAYS_COMPATIBLE":
        return
    if strategy == "ALWAYS_INCOMPATIBLE":
        raise IncompatibleSchemaError("the namespace's strategy is ALWAYS_INCOMPATIBLE")
    judged = before if strategy.endswith("_TRANSITIVE") else before[-1:]
    kind = strategy.removesuffix("_TRANSITIVE")
    for old in judged:
        if old[0] != new[0]:
            raise IncompatibleSchemaError(f"Incompatible schema: exists schema type {old[0]}, new schema type {new[0]}")
        problem = None
        if kind in {"BACKWARD", "FULL"}:
            problem = _unreadable(writer=old, reader=new)
        if problem is None and kind in {"FORWARD", "FULL"}:
            problem = _unreadable(writer=new, reader=old)
        if problem is not None:
            raise IncompatibleSchemaError(f"Incompatible schema used: {problem}")


def _unreadable(writer: Typed, reader: Typed) -> str | None:
    """Return why what one schema wrote can't be read with another of the same type, None when it can."""
    kind = writer[0]
    if kind in {JSON, AVRO, PROTOBUF}:
        try:
            theirs, ours = json.loads(writer[1]), json.loads(reader[1])
        except ValueError:
            return "a schema is no JSON"
        return _Avro(theirs, ours).problem
    if kind == PROTOBUF_NATIVE and _root(writer[1]) != _root(reader[1]):
        return "the protobuf root message isn't allowed to change"
    if kind == KEY_VALUE:
        return _unreadable_pair(writer[1], reader[1])
    return None


def _root(data: bytes) -> object:
    try:
        value = json.loads(data)
    except ValueError:
        return data
    return value.get("rootMessageTypeName") if isinstance(value, dict) else value


def _unreadable_pair(writer: bytes, reader: bytes) -> str | None:
    """A pair is two schemas, each after its size; their types stand in properties: objects are taken as Avro's."""
    for theirs, ours in zip(key_and_value(writer), key_and_value(reader), strict=True):
        if theirs[:1] in {b"{", b"["} and ours[:1] in {b"{", b"["}:
            problem = _unreadable((AVRO, theirs), (AVRO, ours))
            if problem is not None:
                return problem
        elif theirs != ours:
            return "the key's or the value's schema has another type"
    return None


def key_and_value(data: bytes) -> tuple[bytes, bytes]:
    """Return the two schemas of a pair."""
    size = max(int.from_bytes(data[:4], "big", signed=True), 0)
    rest = data[4 + size :]
    return data[4 : 4 + size], rest[4:]


class _Avro:
    """Avro's rules of schema resolution, between a writer's schema and a reader's; `problem` is the first one found."""

    def __init__(self, writer: object, reader: object) -> None:
        self._names: dict[int, dict[str, object]] = {0: {}, 1: {}}
        _collect(writer, self._names[0])
        _collect(reader, self._names[1])
        self._seen: set[tuple[str, str]] = set()
        self.problem = self._match(writer, reader, "")

    def _match(self, writer: object, reader: object, path: str) -> str | None:
        writer, reader = self._resolve(0, writer), self._resolve(1, reader)
        if isinstance(writer, list):
            return next((found for each in writer if (found := self._match(each, reader, path))), None)
        if isinstance(reader, list):
            problems = [self._match(writer, each, path) for each in reader]
            return None if None in problems else f"{path or 'the value'}: no branch of the union reads {_kind(writer)}"
        return self._match_plain(writer, reader, path)

    def _match_plain(self, writer: object, reader: object, path: str) -> str | None:
        theirs, ours = _kind(writer), _kind(reader)
        if theirs != ours and ours not in _PROMOTIONS.get(theirs, ()):
            return f"{path or 'the value'}: {theirs} can't be read as {ours}"
        if not isinstance(writer, dict) or not isinstance(reader, dict):
            return None
        return self._match_named(theirs, writer, reader, path)

    def _match_named(self, kind: str, writer: dict[str, object], reader: dict[str, object], path: str) -> str | None:
        if kind == "record":
            return self._match_records(writer, reader, path)
        if kind == "enum":
            return _match_enums(writer, reader, path)
        if kind == "fixed":
            return None if writer.get("size") == reader.get("size") else f"{path}: the size changed"
        part = {"array": "items", "map": "values"}.get(kind)
        return None if part is None else self._match(writer.get(part), reader.get(part), f"{path}[]")

    def _match_records(self, writer: dict[str, object], reader: dict[str, object], path: str) -> str | None:
        pair = str(writer.get("name")), str(reader.get("name"))
        if pair in self._seen:
            return None
        self._seen.add(pair)
        theirs = {field["name"]: field for field in _fields(writer)}
        for field in _fields(reader):
            name = str(field.get("name"))
            where = f"{path}.{name}" if path else name
            names = [name, *cast("list[str]", field.get("aliases") or [])]
            source = next((theirs[each] for each in names if each in theirs), None)
            if source is None:
                if "default" not in field:
                    return f"the field {where!r} is not in the other schema and has no default"
                continue
            problem = self._match(source.get("type"), field.get("type"), where)
            if problem is not None:
                return problem
        return None

    def _resolve(self, side: int, schema: object) -> object:
        if isinstance(schema, str):
            names = self._names[side]
            return names.get(schema, names.get(schema.rpartition(".")[2], schema))
        if isinstance(schema, dict) and isinstance(schema.get("type"), dict | list):
            return self._resolve(side, schema["type"])
        return schema


def _match_enums(writer: dict[str, object], reader: dict[str, object], path: str) -> str | None:
    known = cast("list[str]", reader.get("symbols") or [])
    missing = [each for each in cast("list[str]", writer.get("symbols") or []) if each not in known]
    if missing and "default" not in reader:
        return f"{path or 'the value'}: the enum lacks {missing[0]!r}"
    return None


def _kind(schema: object) -> str:
    if isinstance(schema, dict):
        return str(schema.get("type"))
    return "union" if isinstance(schema, list) else str(schema)


def _fields(record: dict[str, object]) -> list[dict[str, object]]:
    fields = record.get("fields")
    return (
        [field for field in fields if isinstance(field, dict) and "name" in field] if isinstance(fields, list) else []
    )


def _collect(schema: object, names: dict[str, object]) -> None:
    """Gather the named types of a schema."""
    if isinstance(schema, list):
        for each in schema:
            _collect(each, names)
    elif isinstance(schema, dict):
        if schema.get("type") in {"record", "enum", "fixed"} and isinstance(schema.get("name"), str):
            names.setdefault(str(schema["name"]), schema)
        for part in ("type", "items", "values"):
            _collect(schema.get(part), names)
        for field in _fields(schema):
            _collect(field.get("type"), names)
