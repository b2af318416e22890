"""Commands about schemas, and their form on the wire."""

import time

from magnetar_broker.broker import Broker
from magnetar_broker.connection.gate import Gate
from magnetar_broker.connection.peer import Peer, code_of
from magnetar_broker.errors import BrokerError
from magnetar_broker.topics.schemas import StoredSchema
from magnetar_broker.topics.topic import Topic
from magnetar_broker.wire.proto.pulsar_api import BaseCommand, Schema


def from_wire(schema: Schema) -> StoredSchema:
    """Read a schema of the protocol."""
    properties = tuple((pair.key, pair.value) for pair in schema.properties)
    return StoredSchema(schema.name, schema.type, schema.schema_data, properties, int(time.time() * 1000))


def accept(topic: Topic, schema: Schema | None) -> bytes:
    """Return the version of a client's schema on a topic, added if it is new. Raises IncompatibleSchemaError."""
    stored = None if schema is None else from_wire(schema)
    policies = topic.policies
    version, fresh = topic.schemas.accept(stored, policies.strategy, updates=policies.schema_updates)
    if fresh:
        topic.save_schemas()
    return version


class SchemaHandlers:
    """Answers GET_SCHEMA, which clients wait for, and GET_OR_CREATE_SCHEMA."""

    def __init__(self, broker: Broker, gate: Gate) -> None:
        self._broker = broker
        self._gate = gate

    def get(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Send a version of a topic's schema, or the latest."""
        request = command.getSchema
        answer = BaseCommand(type=BaseCommand.GET_SCHEMA_RESPONSE)
        body = answer.getSchemaResponse
        body.request_id = request.request_id
        try:
            self._gate.demand_look_up(peer, request.topic, "GetSchema")
            schema, version = self._broker.get(request.topic).schemas.get(request.schema_version)
        except BrokerError as error:
            body.error_code, body.error_message = code_of(error), str(error)
        else:
            body.schema_version = version
            body.schema.name, body.schema.type = schema.name, schema.type
            body.schema.schema_data = schema.data
            for key, value in schema.properties:
                body.schema.properties.add(key=key, value=value)
        peer.send(answer)

    def get_or_create(self, peer: Peer, command: BaseCommand, _: bytes) -> None:
        """Find the version of a schema, or add it as a new one."""
        request = command.getOrCreateSchema
        answer = BaseCommand(type=BaseCommand.GET_OR_CREATE_SCHEMA_RESPONSE)
        body = answer.getOrCreateSchemaResponse
        body.request_id = request.request_id
        try:
            self._gate.demand_look_up(peer, request.topic, "GetOrCreateSchema")
            body.schema_version = accept(self._broker.get_or_create(request.topic), request.schema)
        except BrokerError as error:
            body.error_code, body.error_message = code_of(error), str(error)
        peer.send(answer)
