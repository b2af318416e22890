"""Schemas of topics."""

import json
import time
from collections.abc import Mapping

from magnetar_broker.admin.names import NAMESPACE, topic_of
from magnetar_broker.broker import Broker
from magnetar_broker.errors import IncompatibleSchemaError, InvalidError, NotFoundError
from magnetar_broker.http.messages import Request, Response, Routes, answer
from magnetar_broker.topics.schema_compatibility import KEY_VALUE, key_and_value
from magnetar_broker.topics.schemas import StoredSchema, version_bytes
from magnetar_broker.topics.topic import Topic

_BASE = f"/admin/v2/schemas/{NAMESPACE}/{{topic}}"
_TYPES = (
    *("NONE", "STRING", "JSON", "PROTOBUF", "AVRO", "BOOLEAN", "INT8", "INT16", "INT32", "INT64", "FLOAT", "DOUBLE"),
    *("DATE", "TIME", "TIMESTAMP", "KEY_VALUE", "INSTANT", "LOCAL_DATE", "LOCAL_TIME", "LOCAL_DATE_TIME"),
    "PROTOBUF_NATIVE",
)


class SchemaRoutes:
    """The admin API of schemas."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        routes.add("GET", f"{_BASE}/schema", self.latest)
        routes.add("GET", f"{_BASE}/schema/{{version}}", self.one)
        routes.add("GET", f"{_BASE}/schemas", self.all)
        routes.add("POST", f"{_BASE}/schema", self.add)
        routes.add("DELETE", f"{_BASE}/schema", self.delete)
        routes.add("POST", f"{_BASE}/compatibility", self.judge)
        routes.add("POST", f"{_BASE}/version", self.version)

    def _topic(self, request: Request) -> Topic:
        return self._broker.partitions_or_itself(topic_of(request))[0]

    async def latest(self, request: Request) -> Response:
        """Return the latest version."""
        return answer(_described(*self._topic(request).schemas.get(b"")))

    async def one(self, request: Request) -> Response:
        """Return a version."""
        return answer(_described(*self._topic(request).schemas.get(version_bytes(request.number("version")))))

    async def all(self, request: Request) -> Response:
        """Return all versions."""
        versions = enumerate(self._topic(request).schemas.versions)
        return answer({"getSchemaResponses": [_described(each, version_bytes(number)) for number, each in versions]})

    async def add(self, request: Request) -> Response:
        """Add a version, or find the one that is the same. Raises IncompatibleSchemaError."""
        schema, version = _schema(await request.object()), b""
        name = topic_of(request)
        topics = (
            self._broker.partitions_or_itself(name)
            if self._broker.partitions(name)
            else [self._broker.get_or_create(name)]
        )
        for topic in topics:
            version, fresh = topic.schemas.accept(schema, topic.policies.strategy)
            if fresh:
                topic.save_schemas()
        return answer({"version": {"version": int.from_bytes(version, "big", signed=True)}})

    async def delete(self, request: Request) -> Response:
        """Delete the schema."""
        topic = self._topic(request)
        topic.schemas.get(b"")
        version = topic.schemas.delete(int(time.time() * 1000))
        topic.save_schemas()
        return answer({"version": int.from_bytes(version, "big", signed=True)})

    async def judge(self, request: Request) -> Response:
        """Tell whether a schema could follow."""
        topic, schema = self._topic(request), _schema(await request.object())
        try:
            topic.schemas.demand_compatible(schema, topic.policies.strategy)
            compatible = True
        except IncompatibleSchemaError:
            compatible = False
        return answer({"compatibility": compatible, "schemaCompatibilityStrategy": topic.policies.strategy})

    async def version(self, request: Request) -> Response:
        """Tell which version a schema is."""
        number = self._topic(request).schemas.find(_schema(await request.object()))
        if number is None:
            raise NotFoundError("Schema not found")
        return answer({"version": number})


def _schema(payload: Mapping[str, object]) -> StoredSchema:
    kind, data, properties = payload.get("type"), payload.get("schema"), payload.get("properties") or {}
    if kind not in _TYPES:
        raise InvalidError(f"type: {kind!r} is no type of schema; there are {', '.join(_TYPES)}")
    if not isinstance(data, str) or not isinstance(properties, dict):
        raise InvalidError("schema must be a string, and properties an object")
    number = _TYPES.index(str(kind))
    pairs = tuple((str(key), str(value)) for key, value in properties.items())
    encoded = _joined(data) if number == KEY_VALUE else data.encode()
    return StoredSchema(str(payload.get("name") or ""), number, encoded, pairs, int(time.time() * 1000))


def _joined(text: str) -> bytes:
    """Return the two schemas of a pair, each after its size."""
    try:
        pair = json.loads(text)
        parts = [pair[name] if isinstance(pair[name], str) else json.dumps(pair[name]) for name in ("key", "value")]
    except (ValueError, KeyError, TypeError):
        raise InvalidError('schema of a KEY_VALUE must be JSON with "key" and "value"') from None
    return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)


def _described(schema: StoredSchema, version: bytes) -> dict[str, object]:
    return {
        "version": int.from_bytes(version, "big", signed=True),
        "type": _TYPES[schema.type] if 0 <= schema.type < len(_TYPES) else "BYTES",
        "timestamp": schema.created,
        "data": _text(schema),
        "properties": dict(schema.properties),
    }


def _text(schema: StoredSchema) -> str:
    if schema.type != KEY_VALUE:
        return schema.data.decode("utf-8", "replace")
    key, value = (part.decode("utf-8", "replace") for part in key_and_value(schema.data))
    return json.dumps({"key": _loaded(key), "value": _loaded(value)})


def _loaded(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
