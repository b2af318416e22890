"""Topics: create, list, delete, figures, compaction."""

from magnetar_broker.admin.names import DOMAIN, NAMESPACE, TOPIC, namespace_of, topic_of
from magnetar_broker.admin.stats import internal_stats, merged_stats, topic_stats
from magnetar_broker.broker import Broker
from magnetar_broker.connection.consuming import last_index
from magnetar_broker.errors import InvalidError, NotFoundError
from magnetar_broker.http.messages import Request, Response, Routes, answer
from magnetar_broker.topics.topic import Topic

_BASE = f"/admin/v2/{DOMAIN}/{NAMESPACE}"


class TopicRoutes:
    """The admin API of topics."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        routes.add("GET", _BASE, self.all)
        routes.add("GET", f"{_BASE}/partitioned", self.all_partitioned)
        routes.add("PUT", TOPIC, self.create)
        routes.add("DELETE", TOPIC, self.delete)
        routes.add("PUT", f"{TOPIC}/partitions", self.create_partitioned)
        routes.add("POST", f"{TOPIC}/partitions", self.grow_partitioned)
        routes.add("GET", f"{TOPIC}/partitions", self.partitions)
        routes.add("DELETE", f"{TOPIC}/partitions", self.delete_partitioned)
        routes.add("GET", f"{TOPIC}/stats", self.stats)
        routes.add("GET", f"{TOPIC}/partitioned-stats", self.partitioned_stats)
        routes.add("GET", f"{TOPIC}/internalStats", self.internal_stats)
        routes.add("GET", f"{TOPIC}/partitioned-internalStats", self.partitioned_internal_stats)
        routes.add("GET", f"{TOPIC}/lastMessageId", self.last_message_id)
        routes.add("PUT", f"{TOPIC}/compaction", self.compact)
        routes.add("GET", f"{TOPIC}/compaction", self.compaction_status)
        routes.add("PUT", f"{TOPIC}/unload", self.unload)

    def _topic(self, request: Request) -> Topic:
        return self._broker.get(topic_of(request))

    async def all(self, request: Request) -> Response:
        """List the topics of a namespace, each partition by itself."""
        persistent = request.parameters["domain"] == "persistent"
        topics = self._broker.topics_of(namespace_of(request))
        return answer([str(topic.name) for topic in topics if topic.name.persistent == persistent])

    async def all_partitioned(self, request: Request) -> Response:
        """List the partitioned topics of a namespace."""
        namespace = namespace_of(request)
        self._broker.tenancy.policies(namespace)
        prefix = f"{request.parameters['domain']}://{namespace}/"
        return answer(sorted(name for name in self._broker.tenancy.partitions if name.startswith(prefix)))

    async def create(self, request: Request) -> Response:
        """Create a topic without partitions."""
        self._broker.create(topic_of(request))
        return Response()

    async def delete(self, request: Request) -> Response:
        """Delete a topic."""
        self._broker.delete(topic_of(request), force=request.flag("force"))
        return Response()

    async def create_partitioned(self, request: Request) -> Response:
        """Create a partitioned topic; the body is the number of partitions."""
        self._broker.create_partitioned(topic_of(request), await _count(request))
        return Response()

    async def grow_partitioned(self, request: Request) -> Response:
        """Give a partitioned topic more partitions."""
        self._broker.grow_partitioned(topic_of(request), await _count(request))
        return Response()

    async def partitions(self, request: Request) -> Response:
        """Tell how many partitions a topic has."""
        return answer({"partitions": self._broker.partitions(topic_of(request)), "deleted": False})

    async def delete_partitioned(self, request: Request) -> Response:
        """Delete a partitioned topic and its partitions."""
        self._broker.delete_partitioned(topic_of(request), force=request.flag("force"))
        return Response()

    async def stats(self, request: Request) -> Response:
        """Tell a topic's figures."""
        return answer(topic_stats(self._topic(request)))

    def _partitions(self, request: Request) -> list[Topic]:
        if not self._broker.partitions(topic_of(request)):
            raise NotFoundError("Partitioned Topic not found")
        return self._broker.partitions_or_itself(topic_of(request))

    async def partitioned_stats(self, request: Request) -> Response:
        """Tell the figures of a partitioned topic and, unless asked not to, of each partition."""
        partitions = {str(topic.name): topic_stats(topic) for topic in self._partitions(request)}
        merged = merged_stats(partitions.values())
        alone = request.query.get("perPartition", "true") == "true"
        return answer(
            {**merged, "metadata": {"partitions": len(partitions)}, "partitions": partitions if alone else {}}
        )

    async def internal_stats(self, request: Request) -> Response:
        """Tell where a topic's entries and cursors stand."""
        return answer(internal_stats(self._topic(request)))

    async def partitioned_internal_stats(self, request: Request) -> Response:
        """Tell where each partition's entries and cursors stand."""
        partitions = {str(topic.name): internal_stats(topic) for topic in self._partitions(request)}
        return answer({"metadata": {"partitions": len(partitions)}, "partitions": partitions})

    async def last_message_id(self, request: Request) -> Response:
        """Tell the id of a topic's last message."""
        topic = self._topic(request)
        last = topic.last()
        found = {"ledgerId": topic.id, "entryId": last, "partitionIndex": topic.partition}
        index = last_index(topic, last) if last >= 0 else -1
        return answer({**found, "batchIndex": index} if index >= 0 else found)

    async def compact(self, request: Request) -> Response:
        """Compact a topic; done when this answers."""
        for topic in self._broker.partitions_or_itself(topic_of(request)):
            topic.compact()
        return Response()

    async def compaction_status(self, request: Request) -> Response:
        """Tell how compaction is getting on."""
        topic = self._topic(request)
        done = topic.compacted.horizon > 0 or topic.compacted_at > 0  # an empty topic has no horizon
        return answer({"status": "SUCCESS" if done else "NOT_RUN", "lastError": ""})

    async def unload(self, request: Request) -> Response:
        """Disconnect everyone: clients come again."""
        for topic in self._broker.partitions_or_itself(topic_of(request)):
            topic.close()
        return Response()


async def _count(request: Request) -> int:
    count = await request.json()
    if isinstance(count, dict):
        count = count.get("partitions")
    if not isinstance(count, int) or isinstance(count, bool):
        raise InvalidError("the body must be the number of partitions")
    return count
