"""The versions of a topic's schema."""

import base64
import json
from dataclasses import dataclass

from magnetar_broker.errors import IncompatibleSchemaError, NotFoundError

_AUTO_CONSUME = 21
_JSON, _AVRO = 2, 4
NO_VERSION = b""


@dataclass(frozen=True)
class StoredSchema:
    """One version of a schema; `type` is the protocol's number."""

    name: str
    type: int
    data: bytes
    properties: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the schema for the journal."""
        data = base64.b64encode(self.data).decode()
        return {
            "name": self.name,
            "type": self.type,
            "data": data,
            "properties": [list(pair) for pair in self.properties],
        }

    @classmethod
    def from_json(cls, value: dict[str, object]) -> "StoredSchema":
        """Read what `to_json` wrote."""
        pairs = value["properties"]
        assert isinstance(pairs, list)
        properties = tuple((str(key), str(text)) for key, text in pairs)
        return cls(str(value["name"]), int(str(value["type"])), base64.b64decode(str(value["data"])), properties)


class Schemas:
    """All versions of one topic's schema, oldest first; a version is its place, as 8 bytes."""

    def __init__(self, versions: list[StoredSchema] | None = None) -> None:
        self.versions = versions or []

    def accept(self, schema: StoredSchema | None) -> tuple[bytes, bool]:
        """Return the version of a client's schema and whether it is new. Raises IncompatibleSchemaError."""
        if schema is None or schema.type in {0, _AUTO_CONSUME} or (schema.type < 0):
            return NO_VERSION, False
        for number, known in enumerate(self.versions):
            if (known.type, known.data) == (schema.type, schema.data):
                return _version(number), False
        self._demand_compatible(schema)
        self.versions.append(schema)
        return _version(len(self.versions) - 1), True

    def get(self, version: bytes) -> tuple[StoredSchema, bytes]:
        """Return a version, or the latest one for no bytes. Raises NotFoundError."""
        number = int.from_bytes(version, "big", signed=True) if version else len(self.versions) - 1
        if not 0 <= number < len(self.versions):
            raise NotFoundError("the topic has no such schema version")
        return self.versions[number], _version(number)

    def _demand_compatible(self, schema: StoredSchema) -> None:
        """Hold Pulsar's default, FULL: a new version can read what the latest wrote, and the other way round."""
        if not self.versions:
            return
        latest = self.versions[-1]
        if latest.type != schema.type:
            raise IncompatibleSchemaError(f"the topic's schema has type {latest.type}, this one has {schema.type}")
        if schema.type in {_JSON, _AVRO}:
            old, new = _fields(latest.data), _fields(schema.data)
            for name in sorted(old.keys() ^ new.keys()):
                if "default" not in (old.get(name) or new.get(name) or {}):
                    raise IncompatibleSchemaError(f"the field {name!r} came or went and has no default")
            for name in sorted(old.keys() & new.keys()):
                if old[name].get("type") != new[name].get("type"):
                    raise IncompatibleSchemaError(f"the field {name!r} changed its type")


def _fields(data: bytes) -> dict[str, dict[str, object]]:
    try:
        schema = json.loads(data)
    except ValueError:
        return {}
    fields = schema.get("fields", []) if isinstance(schema, dict) else []
    return {str(field.get("name")): field for field in fields if isinstance(field, dict)}


def _version(number: int) -> bytes:
    return number.to_bytes(8, "big", signed=True)
