"""Tenants."""

from magnetar_broker.broker import Broker
from magnetar_broker.errors import BusyError, InvalidError
from magnetar_broker.http.messages import Request, Response, Routes, answer
from magnetar_broker.tenancy import CLUSTER

_TENANT = "/admin/v2/tenants/{tenant}"


class TenantRoutes:
    """The admin API of tenants."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._tenancy = broker.tenancy

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        routes.add("GET", "/admin/v2/tenants", self.all)
        routes.add("GET", _TENANT, self.get)
        routes.add("PUT", _TENANT, self.create)
        routes.add("POST", _TENANT, self.update)
        routes.add("DELETE", _TENANT, self.delete)

    async def all(self, _: Request) -> Response:
        """List the tenants."""
        return answer(sorted(self._tenancy.tenants))

    async def get(self, request: Request) -> Response:
        """Return a tenant."""
        return answer(self._tenancy.tenant(request.parameters["tenant"]))

    async def create(self, request: Request) -> Response:
        """Create a tenant."""
        self._tenancy.create_tenant(request.parameters["tenant"], _sound(await request.object()))
        return Response()

    async def update(self, request: Request) -> Response:
        """Change a tenant."""
        self._tenancy.tenant(request.parameters["tenant"])
        self._tenancy.put_tenant(request.parameters["tenant"], _sound(await request.object()))
        return Response()

    async def delete(self, request: Request) -> Response:
        """Delete a tenant; with its namespaces only when it is forced."""
        name = request.parameters["tenant"]
        self._tenancy.tenant(name)
        namespaces = self._tenancy.namespaces_of(name)
        if namespaces and not request.flag("force"):
            raise BusyError("The tenant still has active namespaces")
        for namespace in namespaces:
            self._broker.delete_namespace(namespace, force=True)
        self._tenancy.delete_tenant(name)
        return Response()


def _sound(info: dict[str, object]) -> dict[str, object]:
    clusters = info.get("allowedClusters") or [CLUSTER]
    if clusters != [CLUSTER]:
        raise InvalidError(f"allowedClusters: {clusters!r}: Clusters do not exist; there is {CLUSTER!r} alone")
    return info
