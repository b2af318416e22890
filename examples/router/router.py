"""A function without an output topic of its own: it publishes each message to the topic that its content asks for."""

import json

from pulsar import Function


class Router(Function):
    def process(self, input, context):
        country = json.loads(input).get("country", "")
        routes = context.get_user_config_value("routes")
        topic = routes.get(country, context.get_user_config_value("otherwise"))
        context.publish(topic, input, properties={"country": country})
        context.get_logger().info("%s goes to %s", country or "no country", topic)
