"""What a client may do, judged as Pulsar does: super users, tenants' administrators, and the permissions that are stored."""

from collections.abc import Mapping

from magnetar_broker.auth.authenticator import Identity
from magnetar_broker.auth.security_file import OWNER_ROLE
from magnetar_broker.errors import AuthorizationError
from magnetar_broker.names import TopicName, partitioned_name
from magnetar_broker.tenancy import Tenancy

PRODUCE, CONSUME, PACKAGES = "produce", "consume", "packages"
NAMESPACE_ROLES, TOPIC_ROLES, SUBSCRIPTION_ROLES = "namespace_auth", "destination_auth", "subscription_auth_roles"


class Rights:
    """Judges who a client is by what a broker keeps; without `super_users` (None) everyone may do everything.

    A function that has a token of the broker's owner may produce and consume in its own namespace without being granted it.
    """

    def __init__(self, tenancy: Tenancy, super_users: frozenset[str] | None = None) -> None:
        self._tenancy = tenancy
        self._super_users = super_users

    @property
    def enabled(self) -> bool:
        """Whether anything is refused."""
        return self._super_users is not None

    def is_super_user(self, identity: Identity | None) -> bool:
        """Whether a client may do everything."""
        if self._super_users is None:
            return True
        if identity is None:
            return False
        return identity.role == OWNER_ROLE if identity.owner else identity.role in self._super_users

    def administers(self, identity: Identity | None, tenant: str) -> bool:
        """Whether a client may do everything in a tenant."""
        if self.is_super_user(identity):
            return True
        roles = self._tenancy.tenants.get(tenant, {}).get("adminRoles")
        return identity is not None and isinstance(roles, list) and identity.role in roles

    def may_in_namespace(self, identity: Identity | None, namespace: str, *actions: str) -> bool:
        """Whether a client has one of some permissions in a whole namespace."""
        tenant, _, _ = namespace.partition("/")
        return self.administers(identity, tenant) or self._granted(identity, namespace, actions)

    def may_produce(self, identity: Identity | None, topic: TopicName) -> bool:
        """Whether a client may publish to a topic."""
        return self._may(identity, topic, PRODUCE)

    def may_consume(self, identity: Identity | None, topic: TopicName, subscription: str = "") -> bool:
        """Whether a client may read a topic, by a subscription where one is named.

        Raises AuthorizationError where the namespace wants subscriptions to begin with the role, and this one does not.
        """
        if self.administers(identity, topic.tenant):
            return True
        if identity is None or (subscription and not self._may_use(identity, topic, subscription)):
            return False
        return self._may(identity, topic, CONSUME)

    def may_look_up(self, identity: Identity | None, topic: TopicName) -> bool:
        """Whether a client may know of a topic."""
        return self._may(identity, topic, PRODUCE) or self._may(identity, topic, CONSUME)

    def _may(self, identity: Identity | None, topic: TopicName, action: str) -> bool:
        if self.administers(identity, topic.tenant) or self._granted(identity, topic.namespace, (action,)):
            return True
        topics = self._kept(topic.namespace, TOPIC_ROLES)
        return any(
            identity is not None and action in _actions(topics.get(name), identity.role)
            for name in (str(topic), partitioned_name(topic))
        )

    def _granted(self, identity: Identity | None, namespace: str, actions: tuple[str, ...]) -> bool:
        if identity is None:
            return False
        if identity.owner and namespace == identity.role.rpartition("/")[0] and {PRODUCE, CONSUME} & {*actions}:
            return True
        return not _actions(self._kept(namespace, NAMESPACE_ROLES), identity.role).isdisjoint(actions)

    def _may_use(self, identity: Identity, topic: TopicName, subscription: str) -> bool:
        roles = self._kept(topic.namespace, SUBSCRIPTION_ROLES).get(subscription)
        if isinstance(roles, list) and roles and identity.role not in roles:
            return False
        mode = self._tenancy.namespaces.get(topic.namespace, {}).get("subscription_auth_mode")
        if mode == "Prefix" and not subscription.startswith(identity.role):
            raise AuthorizationError(
                "Failed to create consumer - The subscription name needs to be prefixed by the authentication role, "
                f"like {identity.role}-xxxx for topic: {topic}"
            )
        return True

    def _kept(self, namespace: str, kind: str) -> Mapping[str, object]:
        policies = self._tenancy.namespaces.get(namespace, {}).get("auth_policies")
        found = policies.get(kind) if isinstance(policies, Mapping) else None
        return found if isinstance(found, Mapping) else {}


def _actions(roles: object, role: str) -> frozenset[str]:
    found = roles.get(role) if isinstance(roles, Mapping) else None
    return frozenset(each for each in found if isinstance(each, str)) if isinstance(found, list) else frozenset()
