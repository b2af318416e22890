"""Namespaces: create, list, delete, their policies, and what concerns all of their topics."""

from collections.abc import Awaitable, Callable

from magnetar_broker.admin.names import NAMESPACE, namespace_of
from magnetar_broker.broker import Broker
from magnetar_broker.errors import InvalidError, SubscriptionMissingError
from magnetar_broker.http.messages import Request, Response, Routes, answer
from magnetar_broker.tenancy import CLUSTER

_BASE = f"/admin/v2/namespaces/{NAMESPACE}"
_BUNDLES = {"boundaries": ["0x00000000", "0xffffffff"], "numBundles": 1}
# Paths of single policies, and the names of these policies in the whole.
_POLICIES = {
    "retention": "retention_policies",
    "messageTTL": "message_ttl_in_seconds",
    "deduplication": "deduplicationEnabled",
    "schemaCompatibilityStrategy": "schema_compatibility_strategy",
    "isAllowAutoUpdateSchema": "is_allow_auto_update_schema",
    "subscriptionAuthMode": "subscription_auth_mode",
}


class NamespaceRoutes:
    """The admin API of namespaces."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._tenancy = broker.tenancy

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        routes.add("GET", "/admin/v2/namespaces/{tenant}", self.all)
        routes.add("GET", _BASE, self.policies)
        routes.add("PUT", _BASE, self.create)
        routes.add("DELETE", _BASE, self.delete)
        routes.add("GET", f"{_BASE}/topics", self.topics)
        routes.add("GET", f"{_BASE}/bundles", self.bundles)
        routes.add("GET", f"{_BASE}/replication", self.replication)
        routes.add("POST", f"{_BASE}/replication", self.set_replication)
        routes.add("GET", f"{_BASE}/backlogQuotaMap", self.quotas)
        routes.add("POST", f"{_BASE}/backlogQuota", self.set_quota)
        routes.add("DELETE", f"{_BASE}/backlogQuota", self.remove_quota)
        routes.add("POST", f"{_BASE}/clearBacklog", self.clear_backlog)
        routes.add("POST", f"{_BASE}/clearBacklog/{{subscription}}", self.clear_backlog)
        routes.add("POST", f"{_BASE}/unsubscribe/{{subscription}}", self.unsubscribe)
        routes.add("PUT", f"{_BASE}/unload", self.unload)
        for path, policy in _POLICIES.items():
            routes.add("GET", f"{_BASE}/{path}", self._getter(policy))
            for method in ("POST", "PUT"):
                routes.add(method, f"{_BASE}/{path}", self._setter(policy))
            routes.add("DELETE", f"{_BASE}/{path}", self._remover(policy))

    async def all(self, request: Request) -> Response:
        """List a tenant's namespaces."""
        self._tenancy.tenant(request.parameters["tenant"])
        return answer(self._tenancy.namespaces_of(request.parameters["tenant"]))

    async def policies(self, request: Request) -> Response:
        """Return a namespace's policies."""
        defaults = {"auth_policies": {"namespace_auth": {}}, "replication_clusters": [CLUSTER], "bundles": _BUNDLES}
        return answer({**defaults, **self._tenancy.policies(namespace_of(request))})

    async def create(self, request: Request) -> Response:
        """Create a namespace."""
        given = await request.json()
        policies = {key: value for key, value in given.items() if value is not None} if isinstance(given, dict) else {}
        self._tenancy.create_namespace(namespace_of(request), policies)
        return Response()

    async def delete(self, request: Request) -> Response:
        """Delete a namespace; with its topics only when it is forced."""
        self._broker.delete_namespace(namespace_of(request), force=request.flag("force"))
        return Response()

    async def topics(self, request: Request) -> Response:
        """List a namespace's topics."""
        mode = request.query.get("mode", "ALL").upper()
        topics = self._broker.topics_of(namespace_of(request))
        return answer([str(each.name) for each in topics if mode == "ALL" or each.keeps == (mode == "PERSISTENT")])

    async def bundles(self, request: Request) -> Response:
        """Tell the one bundle."""
        self._tenancy.policies(namespace_of(request))
        return answer(_BUNDLES)

    async def replication(self, request: Request) -> Response:
        """Tell the one cluster."""
        self._tenancy.policies(namespace_of(request))
        return answer([CLUSTER])

    async def set_replication(self, request: Request) -> Response:
        """Take the one cluster, and no other."""
        if await request.json() != [CLUSTER]:
            raise InvalidError(f"this broker does not replicate: {CLUSTER!r} is the only cluster")
        return Response()

    # Single policies.

    def _getter(self, policy: str) -> Callable[[Request], Awaitable[Response]]:
        async def get(request: Request) -> Response:
            value = self._tenancy.policies(namespace_of(request)).get(policy)
            return Response() if value is None else answer(value)

        return get

    def _setter(self, policy: str) -> Callable[[Request], Awaitable[Response]]:
        async def put(request: Request) -> Response:
            self._tenancy.change_policies(namespace_of(request), **{policy: await request.json()})
            return Response()

        return put

    def _remover(self, policy: str) -> Callable[[Request], Awaitable[Response]]:
        async def remove(request: Request) -> Response:
            self._tenancy.change_policies(namespace_of(request), **{policy: None})
            return Response()

        return remove

    async def quotas(self, request: Request) -> Response:
        """Return the quotas by type."""
        return answer(self._quotas(request))

    def _quotas(self, request: Request) -> dict[str, object]:
        stored = self._tenancy.policies(namespace_of(request)).get("backlog_quota_map")
        return dict(stored) if isinstance(stored, dict) else {}

    async def set_quota(self, request: Request) -> Response:
        """Set the quota of one type."""
        kind = request.query.get("backlogQuotaType") or "destination_storage"
        quotas = {**self._quotas(request), kind: await request.object()}
        self._tenancy.change_policies(namespace_of(request), backlog_quota_map=quotas)
        return Response()

    async def remove_quota(self, request: Request) -> Response:
        """Remove the quota of one type."""
        quotas = self._quotas(request)
        quotas.pop(request.query.get("backlogQuotaType") or "destination_storage", None)
        self._tenancy.change_policies(namespace_of(request), backlog_quota_map=quotas or None)
        return Response()

    # All topics of a namespace.

    async def clear_backlog(self, request: Request) -> Response:
        """Acknowledge the backlog of all subscriptions, or of those with a name."""
        name = request.parameters.get("subscription")
        for topic in self._broker.topics_of(namespace_of(request)):
            for subscription in topic.durable_subscriptions:
                if name in {None, subscription.name}:
                    subscription.skip_to(topic.visible)
        return Response()

    async def unsubscribe(self, request: Request) -> Response:
        """Delete a subscription of every topic that has it."""
        name, found = request.parameters["subscription"], False
        for topic in self._broker.topics_of(namespace_of(request)):
            if name in topic.subscriptions:
                topic.unsubscribe(name, force=request.flag("force"))
                found = True
        if not found:
            raise SubscriptionMissingError("Subscription not found")
        return Response()

    async def unload(self, request: Request) -> Response:
        """Disconnect everyone: clients come again."""
        for topic in self._broker.topics_of(namespace_of(request)):
            topic.close()
        return Response()
