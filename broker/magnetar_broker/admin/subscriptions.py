"""Subscriptions of a topic."""

from magnetar_broker.admin.topics import name_of
from magnetar_broker.broker import Broker
from magnetar_broker.errors import ExistsError
from magnetar_broker.http.messages import Request, Response, Routes, answer
from magnetar_broker.topics.topic import Topic

_TOPIC = "/admin/v2/persistent/{tenant}/{namespace}/{topic}"
_LATEST = (1 << 63) - 1


class SubscriptionRoutes:
    """The admin API of subscriptions."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        one = f"{_TOPIC}/subscription/{{subscription}}"
        routes.add("GET", f"{_TOPIC}/subscriptions", self.all)
        routes.add("PUT", one, self.create)
        routes.add("DELETE", one, self.delete)
        routes.add("POST", f"{one}/skip_all", self.skip_all)
        routes.add("POST", f"{one}/skip/{{count}}", self.skip)
        routes.add("POST", f"{one}/resetcursor/{{time}}", self.reset_to_time)
        routes.add("POST", f"{one}/resetcursor", self.reset_to_message)

    def _topic(self, request: Request) -> Topic:
        return self._broker.get(name_of(request))

    async def all(self, request: Request) -> Response:
        """List a topic's subscriptions."""
        return answer(sorted(self._topic(request).subscriptions))

    async def create(self, request: Request) -> Response:
        """Create a subscription at a message id, at the latest message where none is given."""
        topic = self._broker.get_or_create(name_of(request))
        name = request.parameters["subscription"]
        if name in topic.subscriptions:
            raise ExistsError("Subscription already exists for topic")
        topic.subscribe(name, durable=True, start=_entry(topic, await request.json()))
        return Response()

    async def delete(self, request: Request) -> Response:
        """Delete a subscription."""
        self._topic(request).unsubscribe(request.parameters["subscription"], force=request.flag("force"))
        return Response()

    async def skip_all(self, request: Request) -> Response:
        """Acknowledge the whole backlog."""
        topic = self._topic(request)
        topic.subscription(request.parameters["subscription"]).skip_to(topic.visible)
        return Response()

    async def skip(self, request: Request) -> Response:
        """Acknowledge a number of entries."""
        topic = self._topic(request)
        subscription = topic.subscription(request.parameters["subscription"])
        count = int(request.parameters["count"]) if request.parameters["count"].isdigit() else 0
        subscription.skip_messages(count)
        return Response()

    async def reset_to_time(self, request: Request) -> Response:
        """Put the cursor at a publish time, in milliseconds."""
        topic = self._topic(request)
        time = request.parameters["time"]
        entry = topic.entry_at_time(int(time)) if time.isdigit() else topic.visible
        topic.subscription(request.parameters["subscription"]).seek(entry)
        return Response()

    async def reset_to_message(self, request: Request) -> Response:
        """Put the cursor at a message id."""
        topic = self._topic(request)
        topic.subscription(request.parameters["subscription"]).seek(_entry(topic, await request.json()))
        return Response()


def _entry(topic: Topic, message_id: object) -> int:
    """Read a message id of the admin API: a JSON object, or one of the words earliest and latest."""
    if message_id == "earliest":
        return topic.entries.first
    if isinstance(message_id, dict) and isinstance(entry := message_id.get("entryId"), int):
        if entry < 0:
            return topic.entries.first
        return min(entry, topic.visible) if entry < _LATEST else topic.visible
    return topic.visible
