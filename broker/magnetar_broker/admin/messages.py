"""Single messages: peek at a subscription's backlog, read one by its id, find one by its time."""

from datetime import UTC, datetime

from magnetar_broker.admin.names import TOPIC, topic_of
from magnetar_broker.broker import Broker
from magnetar_broker.connection.consuming import last_index
from magnetar_broker.errors import NotAllowedError, NotFoundError
from magnetar_broker.http.messages import Request, Response, Routes, answer
from magnetar_broker.topics.decompression import decompress
from magnetar_broker.topics.topic import Topic
from magnetar_broker.wire.frames import metadata_of, payload_of

_CODECS = ("NONE", "LZ4", "ZLIB", "ZSTD", "SNAPPY")


class MessageRoutes:
    """The admin API of messages."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        routes.add("GET", f"{TOPIC}/subscription/{{subscription}}/position/{{position}}", self.peek)
        routes.add("GET", f"{TOPIC}/ledger/{{ledger}}/entry/{{entry}}", self.by_id)
        routes.add("GET", f"{TOPIC}/messageid/{{time}}", self.id_by_time)
        routes.add("GET", f"{TOPIC}/examinemessage", self.examine)

    def _topic(self, request: Request) -> Topic:
        return self._broker.get(topic_of(request))

    async def peek(self, request: Request) -> Response:
        """Return the n-th entry, from 1, that a subscription has not acknowledged."""
        topic = self._topic(request)
        subscription = topic.subscription(request.parameters["subscription"])
        entry = subscription.next_from(subscription.mark, compacted=False)
        for _ in range(request.number("position") - 1):
            entry = None if entry is None else subscription.next_from(entry + 1, compacted=False)
        if entry is None:
            raise NotFoundError("Message not found")
        return _message(topic, entry)

    async def by_id(self, request: Request) -> Response:
        """Return the entry with an id."""
        topic = self._topic(request)
        if request.number("ledger") != topic.id:
            raise NotFoundError("Message id not found")
        return _message(topic, request.number("entry"))

    async def id_by_time(self, request: Request) -> Response:
        """Return the id of the first message that was published at or after a time, in milliseconds."""
        topic = self._topic(request)
        entry = min(topic.entry_at_time(request.number("time")), topic.last())
        return answer({"ledgerId": topic.id, "entryId": entry, "partitionIndex": topic.partition})

    async def examine(self, request: Request) -> Response:
        """Return the n-th entry, from 1, of a topic: from its start, or back from its end."""
        topic = self._topic(request)
        position = max(request.query_number("messagePosition", 1), 1)
        from_start = request.query.get("initialPosition", "earliest").lower() == "earliest"
        return _message(topic, topic.entries.first + position - 1 if from_start else topic.last() - position + 1)


def _message(topic: Topic, entry: int) -> Response:
    """Return an entry: its payload, and its metadata as headers."""
    data = topic.message(entry)
    metadata = metadata_of(data)
    payload = decompress(payload_of(data), metadata.compression, metadata.uncompressed_size)
    if payload is None:
        codec = _CODECS[metadata.compression] if 0 <= metadata.compression < len(_CODECS) else "an unknown codec"
        raise NotAllowedError(f"the message is compressed with {codec}, which this broker can't read")
    published = datetime.fromtimestamp(metadata.publish_time / 1000, UTC).isoformat(timespec="milliseconds")
    headers = {
        "X-Pulsar-Message-ID": f"{topic.id}:{entry}",
        "X-Pulsar-publish-time": published.replace("+00:00", "Z"),
        "X-Pulsar-producer-name": metadata.producer_name,
        "X-Pulsar-sequence-id": str(metadata.sequence_id),
    }
    if metadata.partition_key:
        headers["X-Pulsar-partition-key"] = metadata.partition_key
    if last_index(topic, entry) >= 0:
        headers["X-Pulsar-num-batch-message"] = str(metadata.num_messages_in_batch)
    for pair in metadata.properties:
        headers[f"X-Pulsar-PROPERTY-{pair.key}"] = pair.value
    printable = {
        key: value for key, value in headers.items() if (key + value).isascii() and (key + value).isprintable()
    }
    return Response(200, payload, "application/octet-stream", printable)
