"""Topics: create, list, delete, figures, compaction, and where they are."""

from magnetar_broker.admin.stats import topic_stats
from magnetar_broker.broker import Broker
from magnetar_broker.errors import InvalidError, NotFoundError
from magnetar_broker.http.messages import Request, Response, Routes, answer
from magnetar_broker.names import partition_name
from magnetar_broker.topics.topic import Topic

_BASE = "/admin/v2/persistent/{tenant}/{namespace}"
_NO_ENTRY = -1


class TopicRoutes:
    """The admin API of topics."""

    def __init__(self, broker: Broker, addresses: dict[str, str]) -> None:
        self._broker = broker
        self._addresses = addresses

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        topic = f"{_BASE}/{{topic}}"
        routes.add("GET", _BASE, self.all)
        routes.add("GET", f"{_BASE}/partitioned", self.all_partitioned)
        routes.add("PUT", topic, self.create)
        routes.add("DELETE", topic, self.delete)
        routes.add("PUT", f"{topic}/partitions", self.create_partitioned)
        routes.add("GET", f"{topic}/partitions", self.partitions)
        routes.add("DELETE", f"{topic}/partitions", self.delete_partitioned)
        routes.add("GET", f"{topic}/stats", self.stats)
        routes.add("GET", f"{topic}/partitioned-stats", self.partitioned_stats)
        routes.add("GET", f"{topic}/internalStats", self.internal_stats)
        routes.add("GET", f"{topic}/lastMessageId", self.last_message_id)
        routes.add("PUT", f"{topic}/compaction", self.compact)
        routes.add("GET", f"{topic}/compaction", self.compaction_status)
        routes.add("GET", "/lookup/v2/topic/persistent/{tenant}/{namespace}/{topic}", self.lookup)

    def _topic(self, request: Request) -> Topic:
        return self._broker.get(name_of(request))

    async def all(self, request: Request) -> Response:
        """List the topics of a namespace, each partition by itself."""
        return answer(_names(self._broker, f"{request.parameters['tenant']}/{request.parameters['namespace']}"))

    async def all_partitioned(self, request: Request) -> Response:
        """List the partitioned topics of a namespace."""
        namespace = f"{request.parameters['tenant']}/{request.parameters['namespace']}"
        self._broker.tenancy.policies(namespace)
        prefix = f"persistent://{namespace}/"
        return answer(sorted(name for name in self._broker.tenancy.partitions if name.startswith(prefix)))

    async def create(self, request: Request) -> Response:
        """Create a topic without partitions."""
        self._broker.create(name_of(request))
        return Response()

    async def delete(self, request: Request) -> Response:
        """Delete a topic."""
        self._broker.delete(name_of(request), force=request.flag("force"))
        return Response()

    async def create_partitioned(self, request: Request) -> Response:
        """Create a partitioned topic; the body is the number of partitions."""
        count = await request.json()
        if isinstance(count, dict):
            count = count.get("partitions")
        if not isinstance(count, int):
            raise InvalidError("the body must be the number of partitions")
        self._broker.create_partitioned(name_of(request), count)
        return Response()

    async def partitions(self, request: Request) -> Response:
        """Tell how many partitions a topic has."""
        return answer({"partitions": self._broker.partitions(name_of(request))})

    async def delete_partitioned(self, request: Request) -> Response:
        """Delete a partitioned topic and its partitions."""
        self._broker.delete_partitioned(name_of(request), force=request.flag("force"))
        return Response()

    async def stats(self, request: Request) -> Response:
        """Tell a topic's figures."""
        return answer(topic_stats(self._topic(request)))

    async def partitioned_stats(self, request: Request) -> Response:
        """Tell the figures of each partition of a topic."""
        name = name_of(request)
        count = self._broker.partitions(name)
        if not count:
            raise NotFoundError("Partitioned Topic not found")
        names = [partition_name(name, number) for number in range(count)]
        stats = {each: topic_stats(self._broker.get_or_create(each)) for each in names}
        return answer({"metadata": {"partitions": count}, "partitions": stats})

    async def internal_stats(self, request: Request) -> Response:
        """Tell where a topic's entries and cursors stand."""
        topic = self._topic(request)
        cursors = {
            name: {"markDeletePosition": f"{topic.id}:{each.mark - 1}"} for name, each in topic.subscriptions.items()
        }
        last = f"{topic.id}:{topic.last()}"
        return answer({"numberOfEntries": topic.visible, "lastConfirmedEntry": last, "cursors": cursors})

    async def last_message_id(self, request: Request) -> Response:
        """Tell the id of a topic's last message."""
        topic = self._topic(request)
        return answer({"ledgerId": topic.id, "entryId": topic.last(), "partitionIndex": topic.partition})

    async def compact(self, request: Request) -> Response:
        """Compact a topic; done when this answers."""
        self._topic(request).compact()
        return Response()

    async def compaction_status(self, request: Request) -> Response:
        """Tell how compaction is getting on."""
        done = self._topic(request).compacted.horizon > 0
        return answer({"status": "SUCCESS" if done else "NOT_RUN", "lastError": ""})

    async def lookup(self, _: Request) -> Response:
        """Tell clients with an HTTP service URL where topics are: all are here."""
        return answer({"brokerUrl": self._addresses.get("broker"), "httpUrl": self._addresses.get("admin")})


def _names(broker: Broker, namespace: str) -> list[str]:
    return [str(topic.name) for topic in broker.topics_of(namespace)]


def name_of(request: Request) -> str:
    """Return the full name of the topic that a path names."""
    parts = request.parameters
    return f"persistent://{parts['tenant']}/{parts['namespace']}/{parts['topic']}"
