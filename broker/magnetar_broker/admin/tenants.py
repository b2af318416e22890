"""Clusters, brokers, tenants and namespaces."""

from magnetar_broker.broker import Broker
from magnetar_broker.errors import BusyError, NotFoundError
from magnetar_broker.http.messages import Request, Response, Routes, answer
from magnetar_broker.tenancy import CLUSTER


class TenantRoutes:
    """The admin API of what topics live in; `addresses` gives the broker's own URLs once they are known."""

    def __init__(self, broker: Broker, addresses: dict[str, str]) -> None:
        self._broker = broker
        self._tenancy = broker.tenancy
        self._addresses = addresses

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        routes.add("GET", "/admin/v2/clusters", self.clusters)
        routes.add("GET", "/admin/v2/clusters/{cluster}", self.cluster)
        routes.add("GET", "/admin/v2/brokers/health", self.health)
        routes.add("GET", "/admin/v2/brokers/ready", self.health)
        routes.add("GET", "/status.html", self.health)
        routes.add("GET", "/admin/v2/brokers/{cluster}", self.brokers)
        routes.add("GET", "/admin/v2/tenants", self.tenants)
        routes.add("GET", "/admin/v2/tenants/{tenant}", self.tenant)
        routes.add("PUT", "/admin/v2/tenants/{tenant}", self.create_tenant)
        routes.add("POST", "/admin/v2/tenants/{tenant}", self.update_tenant)
        routes.add("DELETE", "/admin/v2/tenants/{tenant}", self.delete_tenant)
        routes.add("GET", "/admin/v2/namespaces/{tenant}", self.namespaces)
        routes.add("GET", "/admin/v2/namespaces/{tenant}/{namespace}", self.policies)
        routes.add("PUT", "/admin/v2/namespaces/{tenant}/{namespace}", self.create_namespace)
        routes.add("DELETE", "/admin/v2/namespaces/{tenant}/{namespace}", self.delete_namespace)
        routes.add("GET", "/admin/v2/namespaces/{tenant}/{namespace}/topics", self.topics)
        routes.add("GET", "/admin/v2/namespaces/{tenant}/{namespace}/permissions", self.permissions)
        routes.add("GET", "/admin/v2/namespaces/{tenant}/{namespace}/retention", self.retention)
        routes.add("POST", "/admin/v2/namespaces/{tenant}/{namespace}/retention", self.set_retention)

    async def clusters(self, _: Request) -> Response:
        """List the one cluster."""
        return answer([CLUSTER])

    async def cluster(self, request: Request) -> Response:
        """Tell a cluster's addresses."""
        if request.parameters["cluster"] != CLUSTER:
            raise NotFoundError("Cluster does not exist")
        return answer({"serviceUrl": self._addresses.get("admin"), "brokerServiceUrl": self._addresses.get("broker")})

    async def brokers(self, _: Request) -> Response:
        """List the one broker."""
        return answer([self._addresses.get("admin", "").removeprefix("http://")])

    async def health(self, _: Request) -> Response:
        """Say that the broker lives."""
        return Response(200, b"ok", "text/plain")

    async def tenants(self, _: Request) -> Response:
        """List the tenants."""
        return answer(sorted(self._tenancy.tenants))

    async def tenant(self, request: Request) -> Response:
        """Return a tenant."""
        return answer(self._tenancy.tenant(request.parameters["tenant"]))

    async def create_tenant(self, request: Request) -> Response:
        """Create a tenant."""
        self._tenancy.create_tenant(request.parameters["tenant"], await request.object())
        return Response()

    async def update_tenant(self, request: Request) -> Response:
        """Change a tenant."""
        self._tenancy.tenant(request.parameters["tenant"])
        self._tenancy.put_tenant(request.parameters["tenant"], await request.object())
        return Response()

    async def delete_tenant(self, request: Request) -> Response:
        """Delete a tenant."""
        self._tenancy.delete_tenant(request.parameters["tenant"])
        return Response()

    async def namespaces(self, request: Request) -> Response:
        """List a tenant's namespaces."""
        self._tenancy.tenant(request.parameters["tenant"])
        return answer(self._tenancy.namespaces_of(request.parameters["tenant"]))

    async def policies(self, request: Request) -> Response:
        """Return a namespace's policies."""
        return answer({"replication_clusters": [CLUSTER], **self._tenancy.policies(_name(request))})

    async def create_namespace(self, request: Request) -> Response:
        """Create a namespace."""
        given = await request.json()
        self._tenancy.create_namespace(_name(request), given if isinstance(given, dict) else {})
        return Response()

    async def delete_namespace(self, request: Request) -> Response:
        """Delete a namespace; with its topics only when it is forced."""
        topics = self._broker.topics_of(_name(request))
        if topics and not request.flag("force"):
            raise BusyError("Cannot delete non empty namespace")
        for topic in topics:
            self._broker.delete(str(topic.name), force=True)
        self._tenancy.delete_namespace(_name(request))
        return Response()

    async def topics(self, request: Request) -> Response:
        """List a namespace's topics."""
        return answer([str(topic.name) for topic in self._broker.topics_of(_name(request))])

    async def permissions(self, request: Request) -> Response:
        """Return the permissions: there are none without authorization."""
        return answer(self._tenancy.policies(_name(request)).get("auth_policies", {}))

    async def retention(self, request: Request) -> Response:
        """Return the retention."""
        return answer(self._tenancy.policies(_name(request)).get("retention_policies"))

    async def set_retention(self, request: Request) -> Response:
        """Set the retention; -1/-1 keeps everything."""
        policies = self._tenancy.policies(_name(request))
        self._tenancy.put_policies(_name(request), {**policies, "retention_policies": await request.object()})
        return Response()


def _name(request: Request) -> str:
    return f"{request.parameters['tenant']}/{request.parameters['namespace']}"
