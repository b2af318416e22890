"""The names that paths of the admin API hold."""

from magnetar_broker.http.messages import Request

NAMESPACE = "{tenant}/{namespace}"
DOMAIN = "{domain:persistent|non-persistent}"
TOPIC = f"/admin/v2/{DOMAIN}/{NAMESPACE}/{{topic}}"


def topic_of(request: Request) -> str:
    """Return the full name of the topic that a path names."""
    parts = request.parameters
    return f"{parts.get('domain', 'persistent')}://{parts['tenant']}/{parts['namespace']}/{parts['topic']}"


def namespace_of(request: Request) -> str:
    """Return the namespace that a path names."""
    return f"{request.parameters['tenant']}/{request.parameters['namespace']}"
