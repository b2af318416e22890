"""Permissions: of roles in namespaces, on topics and on subscriptions."""

from collections.abc import Mapping

from magnetar_broker.admin.names import NAMESPACE, TOPIC, namespace_of, topic_of
from magnetar_broker.auth.rights import NAMESPACE_ROLES, SUBSCRIPTION_ROLES, TOPIC_ROLES
from magnetar_broker.broker import Broker
from magnetar_broker.errors import InvalidError, PermissionMissingError
from magnetar_broker.http.messages import Request, Response, Routes, answer

_NAMESPACE = f"/admin/v2/namespaces/{NAMESPACE}/permissions"
_TOPIC = f"{TOPIC}/permissions"
_ACTIONS = ("produce", "consume", "functions", "sources", "sinks", "packages")

Roles = dict[str, object]


class PermissionRoutes:
    """The admin API of permissions, which a broker judges clients by where it was told to."""

    def __init__(self, broker: Broker) -> None:
        self._tenancy = broker.tenancy

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        routes.add("GET", _NAMESPACE, self.of_namespace)
        routes.add("POST", f"{_NAMESPACE}/{{role}}", self.grant)
        routes.add("DELETE", f"{_NAMESPACE}/{{role}}", self.revoke)
        routes.add("GET", f"{_NAMESPACE}/subscription", self.of_subscriptions)
        routes.add("POST", f"{_NAMESPACE}/subscription/{{subscription}}", self.grant_subscription)
        routes.add("DELETE", f"{_NAMESPACE}/{{subscription}}/{{role}}", self.revoke_subscription)
        routes.add("GET", _TOPIC, self.of_topic)
        routes.add("POST", f"{_TOPIC}/{{role}}", self.grant_topic)
        routes.add("DELETE", f"{_TOPIC}/{{role}}", self.revoke_topic)

    async def of_namespace(self, request: Request) -> Response:
        """Return the permissions of a namespace: role to actions."""
        return answer(self._stored(request, NAMESPACE_ROLES))

    async def grant(self, request: Request) -> Response:
        """Store a role's actions in a namespace."""
        actions = await _actions(request)
        self._store(request, NAMESPACE_ROLES, {request.parameters["role"]: actions})
        return Response()

    async def revoke(self, request: Request) -> Response:
        """Take a role's actions in a namespace away."""
        self._store(request, NAMESPACE_ROLES, {request.parameters["role"]: None})
        return Response()

    async def of_subscriptions(self, request: Request) -> Response:
        """Return which subscriptions of a namespace are for which roles alone."""
        return answer(self._stored(request, SUBSCRIPTION_ROLES))

    async def grant_subscription(self, request: Request) -> Response:
        """Keep a subscription for some roles."""
        roles = await request.json()
        if not isinstance(roles, list) or not all(isinstance(each, str) for each in roles):
            raise InvalidError('the body must be a list of roles, such as ["reader"]')
        self._store(request, SUBSCRIPTION_ROLES, {request.parameters["subscription"]: roles})
        return Response()

    async def revoke_subscription(self, request: Request) -> Response:
        """Take a subscription from a role; when none is left it is for all that may consume."""
        name, role = request.parameters["subscription"], request.parameters["role"]
        roles = self._stored(request, SUBSCRIPTION_ROLES).get(name)
        left = [each for each in roles if each != role] if isinstance(roles, list) else []
        self._store(request, SUBSCRIPTION_ROLES, {name: left or None})
        return Response()

    async def of_topic(self, request: Request) -> Response:
        """Return the permissions on a topic, those of its namespace among them."""
        own = self._of_topic(request)
        namespace = self._stored(request, NAMESPACE_ROLES)
        return answer({role: _union(namespace.get(role), own.get(role)) for role in {**namespace, **own}})

    async def grant_topic(self, request: Request) -> Response:
        """Store a role's actions on one topic."""
        actions = await _actions(request)
        changed = {**self._of_topic(request), request.parameters["role"]: actions}
        self._store(request, TOPIC_ROLES, {topic_of(request): changed})
        return Response()

    async def revoke_topic(self, request: Request) -> Response:
        """Take a role's actions on one topic away."""
        roles = self._of_topic(request)
        if roles.pop(request.parameters["role"], None) is None:
            raise PermissionMissingError("Permissions are not set at the topic level")
        self._store(request, TOPIC_ROLES, {topic_of(request): roles or None})
        return Response()

    def _of_topic(self, request: Request) -> Roles:
        found = self._stored(request, TOPIC_ROLES).get(topic_of(request))
        return dict(found) if isinstance(found, dict) else {}

    def _stored(self, request: Request, kind: str) -> Roles:
        found = self._all(request).get(kind)
        return dict(found) if isinstance(found, dict) else {}

    def _all(self, request: Request) -> Roles:
        stored = self._tenancy.policies(namespace_of(request)).get("auth_policies")
        return dict(stored) if isinstance(stored, dict) else {}

    def _store(self, request: Request, kind: str, changed: Mapping[str, object]) -> None:
        """Keep what is changed of one kind; None takes a name away."""
        kept = {**self._stored(request, kind), **changed}
        policies: Roles = {NAMESPACE_ROLES: {}, **self._all(request)}
        policies[kind] = {name: value for name, value in kept.items() if value is not None}
        self._tenancy.change_policies(namespace_of(request), auth_policies=policies)


async def _actions(request: Request) -> list[str]:
    actions = await request.json()
    if not isinstance(actions, list):
        raise InvalidError('the body must be a list of actions, such as ["produce", "consume"]')
    for each in actions:
        if each not in _ACTIONS:
            raise InvalidError(f"{each!r} is no action; there are {', '.join(_ACTIONS)}")
    return actions


def _union(*actions: object) -> list[object]:
    return list(dict.fromkeys(each for some in actions if isinstance(some, list) for each in some))
