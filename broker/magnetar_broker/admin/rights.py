"""What the admin API's routes demand: a table of those that administrators need not be, and Pulsar's refusals."""

from magnetar_broker.admin.names import DOMAIN, NAMESPACE, TOPIC
from magnetar_broker.auth.authenticator import Identity
from magnetar_broker.auth.rights import CONSUME, PACKAGES, PRODUCE, Rights
from magnetar_broker.errors import AuthorizationError
from magnetar_broker.http.messages import Found
from magnetar_broker.names import TopicName

_FOR_ALL = {
    "/admin/v2/clusters",
    "/admin/v2/brokers/health",
    "/admin/v2/brokers/ready",
    "/admin/v2/brokers/version",
    "/status.html",
}
_SCHEMAS = f"/admin/v2/schemas/{NAMESPACE}/{{topic}}"
_SUBSCRIPTION = f"{TOPIC}/subscription/{{subscription}}"
_LOOKUP = f"/lookup/v2/topic/{DOMAIN}/{NAMESPACE}/{{topic}}"
_OF_NAMESPACES = f"/admin/v2/namespaces/{NAMESPACE}"

# Pulsar's names of what is done to a topic; who may look it up may do the first, who may consume it the second.
_LOOKING = {
    ("GET", f"{TOPIC}/stats"): "GET_STATS",
    ("GET", f"{TOPIC}/internalStats"): "GET_STATS",
    ("GET", f"{TOPIC}/partitioned-stats"): "GET_STATS",
    ("GET", f"{TOPIC}/partitioned-internalStats"): "GET_STATS",
    ("GET", f"{TOPIC}/partitions"): "LOOKUP",
    ("GET", f"{_SCHEMAS}/schema"): "GET_METADATA",
    ("GET", f"{_SCHEMAS}/schema/{{version}}"): "GET_METADATA",
    ("GET", f"{_SCHEMAS}/schemas"): "GET_METADATA",
    ("POST", f"{_SCHEMAS}/compatibility"): "GET_METADATA",
    ("POST", f"{_SCHEMAS}/version"): "GET_METADATA",
    ("GET", _LOOKUP): "LOOKUP",
    ("GET", f"{_LOOKUP}/bundle"): "LOOKUP",
}
_CONSUMING = {
    ("GET", f"{TOPIC}/subscriptions"): "GET_SUBSCRIPTIONS",
    ("GET", f"{TOPIC}/lastMessageId"): "PEEK_MESSAGES",
    ("GET", f"{TOPIC}/ledger/{{ledger}}/entry/{{entry}}"): "PEEK_MESSAGES",
    ("GET", f"{TOPIC}/messageid/{{time}}"): "PEEK_MESSAGES",
    ("GET", f"{TOPIC}/examinemessage"): "PEEK_MESSAGES",
    ("GET", f"{_SUBSCRIPTION}/position/{{position}}"): "PEEK_MESSAGES",
    ("PUT", _SUBSCRIPTION): "SUBSCRIBE",
    ("DELETE", _SUBSCRIPTION): "UNSUBSCRIBE",
    ("POST", f"{_SUBSCRIPTION}/skip_all"): "SKIP",
    ("POST", f"{_SUBSCRIPTION}/skip/{{count}}"): "SKIP",
    ("POST", f"{_SUBSCRIPTION}/expireMessages/{{seconds}}"): "EXPIRE_MESSAGES",
    ("POST", f"{_SUBSCRIPTION}/expireMessages"): "EXPIRE_MESSAGES",
    ("POST", f"{_SUBSCRIPTION}/resetcursor/{{time}}"): "RESET_CURSOR",
    ("POST", f"{_SUBSCRIPTION}/resetcursor"): "RESET_CURSOR",
    ("GET", f"{_SUBSCRIPTION}/properties"): "CONSUME",
    ("PUT", f"{_SUBSCRIPTION}/properties"): "CONSUME",
}
_IN_NAMESPACE = {
    ("GET", f"{_OF_NAMESPACES}/topics"): ("GET_TOPICS", (PRODUCE, CONSUME)),
    ("GET", f"{_OF_NAMESPACES}/bundles"): ("GET_BUNDLE", (PRODUCE, CONSUME)),
    ("GET", f"/admin/v2/{DOMAIN}/{NAMESPACE}"): ("GET_TOPICS", (PRODUCE, CONSUME)),
    ("GET", f"/admin/v2/{DOMAIN}/{NAMESPACE}/partitioned"): ("GET_TOPICS", (PRODUCE, CONSUME)),
    ("POST", f"{_OF_NAMESPACES}/clearBacklog"): ("CLEAR_BACKLOG", (CONSUME,)),
    ("POST", f"{_OF_NAMESPACES}/clearBacklog/{{subscription}}"): ("CLEAR_BACKLOG", (CONSUME,)),
    ("POST", f"{_OF_NAMESPACES}/unsubscribe/{{subscription}}"): ("UNSUBSCRIBE", (CONSUME,)),
}
_PACKAGES, _TENANTS = "/admin/v3/packages/", "/admin/v2/tenants"


class Judge:
    """Lets a request pass, or raises AuthorizationError.

    What is in no table is for administrators of the tenant that its path names, and without one for super users.
    """

    def __init__(self, rights: Rights) -> None:
        self._rights = rights

    def judge(self, identity: Identity | None, method: str, found: Found) -> None:
        """Judge one request."""
        key, template = (method, found.template), found.template
        if template in _FOR_ALL:
            return
        if (operation := _LOOKING.get(key) or _CONSUMING.get(key)) is not None:
            self._judge_topic(identity, operation, found, consumes=key in _CONSUMING)
        elif key in _IN_NAMESPACE or template.startswith(_PACKAGES):
            self._judge_namespace(identity, *_IN_NAMESPACE.get(key, ("PACKAGES", (PACKAGES,))), found)
        elif "tenant" in found.parameters and not template.startswith(_TENANTS):
            if not self._rights.administers(identity, found.parameters["tenant"]):
                raise AuthorizationError("Don't have permission to administrate resources on this tenant")
        elif not self._rights.is_super_user(identity):
            raise AuthorizationError("This operation requires super-user access")

    def _judge_topic(self, identity: Identity | None, operation: str, found: Found, *, consumes: bool) -> None:
        parts = found.parameters
        persistent = parts.get("domain", "persistent") == "persistent"
        topic = TopicName(parts["tenant"], parts["namespace"], parts["topic"], persistent=persistent)
        if consumes:
            allowed = self._rights.may_consume(identity, topic, parts.get("subscription", ""))
        else:
            allowed = self._rights.may_look_up(identity, topic)
        if not allowed:
            raise AuthorizationError(
                f"Unauthorized to validateTopicOperation for operation [{operation}] on topic [{topic}]"
            )

    def _judge_namespace(
        self, identity: Identity | None, operation: str, actions: tuple[str, ...], found: Found
    ) -> None:
        namespace = f"{found.parameters['tenant']}/{found.parameters['namespace']}"
        if not self._rights.may_in_namespace(identity, namespace, *actions):
            raise AuthorizationError(
                f"Unauthorized to validateNamespaceOperation for operation [{operation}] on namespace [{namespace}]"
            )
