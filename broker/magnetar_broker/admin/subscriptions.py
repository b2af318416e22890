"""Subscriptions of a topic, or of all partitions of one."""

import time
from collections.abc import Iterator

from magnetar_broker.admin.names import TOPIC, topic_of
from magnetar_broker.broker import Broker
from magnetar_broker.errors import ExistsError, InvalidError, SubscriptionMissingError
from magnetar_broker.http.messages import Request, Response, Routes, answer
from magnetar_broker.topics.subscription import Subscription
from magnetar_broker.topics.topic import Topic

_ONE = f"{TOPIC}/subscription/{{subscription}}"
_LATEST = (1 << 63) - 1


class SubscriptionRoutes:
    """The admin API of subscriptions."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        routes.add("GET", f"{TOPIC}/subscriptions", self.all)
        routes.add("PUT", _ONE, self.create)
        routes.add("DELETE", _ONE, self.delete)
        routes.add("POST", f"{_ONE}/skip_all", self.skip_all)
        routes.add("POST", f"{_ONE}/skip/{{count}}", self.skip)
        routes.add("POST", f"{_ONE}/expireMessages/{{seconds}}", self.expire)
        routes.add("POST", f"{_ONE}/expireMessages", self.expire_through)
        routes.add("POST", f"{TOPIC}/all_subscription/expireMessages/{{seconds}}", self.expire_all)
        routes.add("POST", f"{_ONE}/resetcursor/{{time}}", self.reset_to_time)
        routes.add("POST", f"{_ONE}/resetcursor", self.reset_to_message)
        routes.add("GET", f"{_ONE}/properties", self.properties)
        routes.add("PUT", f"{_ONE}/properties", self.set_properties)

    def _topics(self, request: Request) -> list[Topic]:
        return self._broker.partitions_or_itself(topic_of(request))

    def _found(self, request: Request) -> Iterator[tuple[Topic, Subscription]]:
        """Yield the subscription of each partition. Raises SubscriptionMissingError when none has it."""
        name, topics = request.parameters["subscription"], self._topics(request)
        found = [(topic, topic.subscriptions[name]) for topic in topics if name in topic.subscriptions]
        if not found:
            raise SubscriptionMissingError("Subscription not found")
        yield from found

    async def all(self, request: Request) -> Response:
        """List a topic's subscriptions."""
        return answer(sorted({name for topic in self._topics(request) for name in topic.subscriptions}))

    async def create(self, request: Request) -> Response:
        """Create a subscription at a message id, at the latest message where none is given."""
        name, wanted = topic_of(request), await request.json()
        if not self._broker.partitions(name):
            self._broker.get_or_create(name)
        topics, subscription = self._topics(request), request.parameters["subscription"]
        if all(subscription in topic.subscriptions for topic in topics):
            raise ExistsError("Subscription already exists for topic")
        for topic in topics:
            topic.subscribe(subscription, durable=True, start=_entry(topic, wanted))
        return Response()

    async def delete(self, request: Request) -> Response:
        """Delete a subscription."""
        for topic, subscription in self._found(request):
            topic.unsubscribe(subscription.name, force=request.flag("force"))
        return Response()

    async def skip_all(self, request: Request) -> Response:
        """Acknowledge the whole backlog."""
        for topic, subscription in self._found(request):
            subscription.skip_to(topic.visible)
        return Response()

    async def skip(self, request: Request) -> Response:
        """Acknowledge a number of messages."""
        for _, subscription in self._found(request):
            subscription.skip_messages(request.number("count"))
        return Response()

    async def expire(self, request: Request) -> Response:
        """Acknowledge what is older than some seconds."""
        for topic, subscription in self._found(request):
            _expire(topic, subscription, request.number("seconds"))
        return Response()

    async def expire_all(self, request: Request) -> Response:
        """Acknowledge, for every subscription, what is older than some seconds."""
        for topic in self._topics(request):
            for subscription in topic.durable_subscriptions:
                _expire(topic, subscription, request.number("seconds"))
        return Response()

    async def expire_through(self, request: Request) -> Response:
        """Acknowledge all up to a message id."""
        wanted = await request.json()
        for topic, subscription in self._found(request):
            subscription.skip_to(min(_entry(topic, wanted) + 1, topic.visible))
        return Response()

    async def reset_to_time(self, request: Request) -> Response:
        """Put the cursor at a publish time, in milliseconds."""
        for topic, subscription in self._found(request):
            subscription.seek(topic.entry_at_time(request.number("time")))
        return Response()

    async def reset_to_message(self, request: Request) -> Response:
        """Put the cursor at a message id."""
        wanted = await request.json()
        for topic, subscription in self._found(request):
            excluded = isinstance(wanted, dict) and wanted.get("isExcluded") is True
            subscription.seek(min(_entry(topic, wanted) + excluded, topic.visible))
        return Response()

    async def properties(self, request: Request) -> Response:
        """Return a subscription's properties."""
        return answer(next(self._found(request))[1].properties)

    async def set_properties(self, request: Request) -> Response:
        """Replace a subscription's properties."""
        properties = await request.object()
        if not all(isinstance(value, str) for value in properties.values()):
            raise InvalidError("the properties must be strings")
        for topic, subscription in self._found(request):
            topic.set_properties(subscription.name, {key: str(value) for key, value in properties.items()})
        return Response()


def _expire(topic: Topic, subscription: Subscription, seconds: int) -> None:
    subscription.skip_to(topic.entry_at_time(int((time.time() - seconds) * 1000)))


def _entry(topic: Topic, message_id: object) -> int:
    """Read a message id of the admin API: a JSON object, or one of the words earliest and latest."""
    if message_id == "earliest":
        return topic.entries.first
    if isinstance(message_id, dict) and isinstance(entry := message_id.get("entryId"), int):
        if entry < 0:
            return topic.entries.first
        return min(entry, topic.visible) if entry < _LATEST else topic.visible
    return topic.visible
