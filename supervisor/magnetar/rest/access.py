"""What a caller may do, as dependencies of routes."""

from fastapi import Request

from magnetar.access import Authorization, Caller
from magnetar.access.base import NOBODY
from magnetar.errors import NotAuthorizedError
from magnetar.rest.authenticate import CALLER


def caller_of(request: Request) -> Caller:
    """Return who sent a request; nobody in particular while requests are not authenticated."""
    found: Caller = request.scope.get(CALLER, NOBODY)
    return found


class Access:
    """What routes demand of callers, as dependencies; without authorization, nothing."""

    def __init__(self, authorization: Authorization | None) -> None:
        self._authorization = authorization

    async def anyone(self) -> None:
        """Demand nothing more than what authentication did: what is told belongs to no tenant."""

    async def super_user(self, request: Request) -> None:
        """Demand a super user."""
        if self._authorization is not None:
            await self._authorization.demand_super_user(caller_of(request))

    async def namespace(self, request: Request, tenant: str, namespace: str) -> None:
        """Demand the right to the functions of the namespace in the request's path."""
        if self._authorization is not None:
            await self._authorization.demand_namespace(caller_of(request), tenant, namespace)

    async def package_path(self, request: Request, path: str) -> None:
        """Demand the right to what lies under a path: that to its namespace where it has one, else a super user's."""
        parts = path.split("/")
        if len(parts) == _PARTS_OF_A_PACKAGE and "" not in parts:
            await self.namespace(request, parts[0], parts[1])
        else:
            await self.super_user(request)

    async def broker(self, request: Request) -> None:
        """Demand an administrator of the tenant that a request to the broker is about, a super user where there is none."""
        if self._authorization is None:
            return
        tenant = _tenant_of(request.scope["path"])
        if tenant is None:
            await self._authorization.demand_super_user(caller_of(request))
        else:
            await self._authorization.demand_tenant(caller_of(request), tenant)

    async def sees(self, request: Request, tenant: str, namespace: str) -> bool:
        """Whether a caller may know of the functions of a namespace, where a list is of several."""
        try:
            await self.namespace(request, tenant, namespace)
        except NotAuthorizedError:
            return False
        return True


_PARTS_OF_A_PACKAGE = 4
_IN_TENANTS: tuple[tuple[str, ...], ...] = (
    ("admin", "v2", "persistent"),
    ("admin", "v2", "non-persistent"),
    ("admin", "v2", "namespaces"),
    ("admin", "v2", "schemas"),
    ("admin", "v3", "packages", "function"),
    ("lookup", "v2", "topic", "persistent"),
    ("lookup", "v2", "topic", "non-persistent"),
)


def _tenant_of(path: str) -> str | None:
    """Return the tenant that a path of the broker's admin API lies in, None where it lies in none."""
    parts = tuple(path.removeprefix("/").split("/"))
    if any(part in {"", ".", ".."} for part in parts):
        return None
    for prefix in _IN_TENANTS:
        if parts[: len(prefix)] == prefix and len(parts) > len(prefix):
            return parts[len(prefix)]
    return None
