"""The versions of a topic's schema."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from magnetar_broker.errors import IncompatibleSchemaError, NotFoundError
from magnetar_broker.topics.schema_compatibility import demand_compatible

_AUTO_CONSUME = 21
NO_VERSION = b""


@dataclass(frozen=True)
class StoredSchema:
    """One version of a schema; `type` is the protocol's number, `created` is in milliseconds since 1970."""

    name: str
    type: int
    data: bytes
    properties: tuple[tuple[str, str], ...] = ()
    created: int = 0
    deleted: bool = False

    def to_json(self) -> dict[str, object]:
        """Return the schema for the journal."""
        return {
            "name": self.name,
            "type": self.type,
            "data": base64.b64encode(self.data).decode(),
            "properties": [list(pair) for pair in self.properties],
            "created": self.created,
            "deleted": self.deleted,
        }

    @classmethod
    def from_json(cls, value: dict[str, object]) -> "StoredSchema":
        """Read what `to_json` wrote."""
        pairs = cast("Sequence[Sequence[str]]", value["properties"])
        return cls(
            name=str(value["name"]),
            type=cast("int", value["type"]),
            data=base64.b64decode(str(value["data"])),
            properties=tuple((key, text) for key, text in pairs),
            created=cast("int", value.get("created", 0)),
            deleted=value.get("deleted") is True,
        )


class Schemas:
    """All versions of one topic's schema, oldest first; a version is its place, as 8 bytes.

    Deleting adds a version that says so: the ones before it no longer bind, but can still be read.
    """

    def __init__(self, versions: list[StoredSchema] | None = None) -> None:
        self.versions = versions or []

    def accept(
        self, schema: StoredSchema | None, strategy: str = "FULL", *, updates: bool = True
    ) -> tuple[bytes, bool]:
        """Return the version of a client's schema and whether it is new. Raises IncompatibleSchemaError."""
        if schema is None or schema.type in {0, _AUTO_CONSUME} or schema.type < 0:
            return NO_VERSION, False
        known = self.find(schema)
        if known is not None:
            return version_bytes(known), False
        self.demand_compatible(schema, strategy)
        if self.current and not updates:
            raise IncompatibleSchemaError("the namespace lets no client add a version of a schema")
        self.versions.append(schema)
        return version_bytes(len(self.versions) - 1), True

    def find(self, schema: StoredSchema) -> int | None:
        """Return the number of a schema that is one of the versions."""
        start = len(self.versions) - len(self.current)
        for number, known in enumerate(self.current, start):
            if (known.type, known.data) == (schema.type, schema.data):
                return number
        return None

    @property
    def current(self) -> list[StoredSchema]:
        """The versions since the schema was last deleted."""
        deleted = max((number for number, each in enumerate(self.versions) if each.deleted), default=-1)
        return self.versions[deleted + 1 :]

    def demand_compatible(self, schema: StoredSchema, strategy: str) -> None:
        """Raise IncompatibleSchemaError where a schema can't follow the current versions under a strategy."""
        before = [(known.type, known.data) for known in self.current]
        if before:
            demand_compatible((schema.type, schema.data), before, strategy)

    def delete(self, now_ms: int) -> bytes:
        """Delete the schema; returns the version that says so."""
        self.versions.append(StoredSchema("", 0, b"", (), now_ms, deleted=True))
        return version_bytes(len(self.versions) - 1)

    def get(self, version: bytes) -> tuple[StoredSchema, bytes]:
        """Return a version, or the latest one for no bytes. Raises NotFoundError."""
        number = int.from_bytes(version, "big", signed=True) if version else len(self.versions) - 1
        if not 0 <= number < len(self.versions) or self.versions[number].deleted:
            raise NotFoundError("Schema not found")
        return self.versions[number], version_bytes(number)

    def to_json(self) -> list[dict[str, object]]:
        """Return all versions for the journal."""
        return [schema.to_json() for schema in self.versions]

    @classmethod
    def from_json(cls, values: list[dict[str, object]]) -> "Schemas":
        """Read what `to_json` wrote."""
        return cls([StoredSchema.from_json(value) for value in values])


def version_bytes(number: int) -> bytes:
    """Return a version as it travels."""
    return number.to_bytes(8, "big", signed=True)
