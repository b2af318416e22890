"""Clusters, tenants and namespaces."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from magnetar.broker_admin.calls import BrokerCalls
from magnetar.broker_admin.paths import namespace_path


class Tenancy(BrokerCalls):
    """What topics live in."""

    async def clusters(self) -> list[str]:
        """List the clusters that the broker knows."""
        return await self._names("/admin/v2/clusters")

    async def tenants(self) -> list[str]:
        """List the tenants."""
        return await self._names("/admin/v2/tenants")

    async def create_tenant(self, name: str, clusters: Sequence[str]) -> bool:
        """Create a tenant that may use some clusters; False when it is there already."""
        body = {"allowedClusters": list(clusters), "adminRoles": []}
        return await self._created(f"/admin/v2/tenants/{quote(name, safe='')}", json=body)

    async def tenant_administrators(self, tenant: str) -> frozenset[str]:
        """Return the roles that administer a tenant."""
        found = (await self._object(f"/admin/v2/tenants/{quote(tenant, safe='')}")).get("adminRoles")
        return frozenset(str(each) for each in found) if isinstance(found, list) else frozenset()

    async def namespace_permissions(self, namespace: str) -> dict[str, frozenset[str]]:
        """Return which role has which permissions in `tenant/namespace`."""
        granted = await self._object(namespace_path(namespace, "/permissions"))
        return {
            role: frozenset(str(each) for each in actions)
            for role, actions in granted.items()
            if isinstance(actions, list)
        }

    async def namespaces(self, tenant: str) -> list[str]:
        """List the namespaces of a tenant as `tenant/namespace`."""
        return await self._names(namespace_path(tenant))

    async def create_namespace(self, name: str, policies: Mapping[str, object] | None = None) -> bool:
        """Create `tenant/namespace` with policies in Pulsar's JSON; False when it is there already."""
        return await self._created(namespace_path(name), json=dict(policies or {}))

    async def deduplication(self, namespace: str) -> bool | None:
        """Return whether the topics of a namespace de-duplicate; None where the broker's own setting says it."""
        answer = (await self._call("GET", namespace_path(namespace, "/deduplication"))).text.strip()
        return {"true": True, "false": False}.get(answer)

    async def broker_configuration(self) -> dict[str, object]:
        """Return what the broker was configured with; only superusers are told."""
        return await self._object("/admin/v2/brokers/configuration/runtime")

    async def topics(self, namespace: str) -> list[str]:
        """List the persistent topics of a namespace by their full names, each partition by itself."""
        tenant, _, local = namespace.partition("/")
        return await self._names(f"/admin/v2/persistent/{quote(tenant, safe='')}/{quote(local, safe='')}")

    async def unsubscribe_namespace(self, namespace: str, subscription: str) -> None:
        """Delete a subscription from every topic of a namespace."""
        await self._call("POST", namespace_path(namespace, f"/unsubscribe/{quote(subscription, safe='')}"))
