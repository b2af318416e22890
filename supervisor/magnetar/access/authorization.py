"""What a role may do: super users everything, administrators of a tenant and those with a permission their functions."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

from magnetar.access.base import Caller
from magnetar.errors import NotAuthorizedError

ACTION = "functions"
"""The permission that Pulsar's `namespaces grant-permission --actions functions` gives."""


class Policies(Protocol):
    """What the broker keeps about tenants and namespaces."""

    async def administrators(self, tenant: str) -> Collection[str]:
        """Return the roles that administer a tenant; none for one that does not exist."""

    async def permitted(self, tenant: str, namespace: str, action: str) -> Collection[str]:
        """Return the roles that have a permission in a namespace; none for one that does not exist."""


@dataclass(frozen=True)
class Authorization:
    """Judges callers as Pulsar 4 does; what a proxy asks for both it and whom it names must be allowed."""

    super_users: frozenset[str]
    proxies: frozenset[str]
    policies: Policies

    async def demand_super_user(self, caller: Caller) -> None:
        """Raise NotAuthorizedError unless everything is allowed to a caller."""
        for role in self._roles(caller):
            if role not in self.super_users:
                raise _refusal(role, "is no super user: superUserRoles of the worker names them")

    async def demand_namespace(self, caller: Caller, tenant: str, namespace: str) -> None:
        """Raise NotAuthorizedError unless a caller may do anything with the functions of a namespace."""
        for role in self._roles(caller):
            if not await self._may_use(role, tenant, namespace):
                raise _refusal(
                    role,
                    f"neither administers the tenant {tenant} nor has the permission `{ACTION}` in {tenant}/{namespace}",
                )

    async def demand_tenant(self, caller: Caller, tenant: str) -> None:
        """Raise NotAuthorizedError unless a caller administers a tenant."""
        for role in self._roles(caller):
            if role not in self.super_users and role not in await self.policies.administrators(tenant):
                raise _refusal(role, f"does not administer the tenant {tenant}")

    async def _may_use(self, role: str, tenant: str, namespace: str) -> bool:
        if role in self.super_users or role in await self.policies.administrators(tenant):
            return True
        return role in await self.policies.permitted(tenant, namespace, ACTION)

    def _roles(self, caller: Caller) -> tuple[str, ...]:
        """Return the roles that must all be allowed. Raises NotAuthorizedError for those that can't stand together."""
        role, original = caller.role, caller.original
        if not role:
            raise _refusal(None, "the request has no role")
        if role not in self.proxies:
            if original not in (None, role):
                raise _refusal(role, f"asks for {original!r} and is no proxy: proxyRoles of the worker names them")
            return (role,)
        if original is None:
            raise _refusal(role, "is a proxy and does not say whom it asks for (X-Original-Principal)")
        if original in self.proxies:
            raise _refusal(role, f"asks for {original!r}, which is a proxy itself")
        return (role, original)


def _refusal(role: str | None, why: str) -> NotAuthorizedError:
    subject = f"{role} " if role else ""
    return NotAuthorizedError(f"Client is not authorized to perform operation: {subject}{why}")
