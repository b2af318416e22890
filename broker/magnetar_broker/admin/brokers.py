"""Clusters, brokers and lookups: there is one of each."""

from importlib.metadata import version

from magnetar_broker.admin.names import DOMAIN, NAMESPACE
from magnetar_broker.errors import NotFoundError
from magnetar_broker.http.messages import Request, Response, Routes, answer
from magnetar_broker.tenancy import CLUSTER


class BrokerRoutes:
    """The admin API of what this broker is; `addresses` gives its own URLs once they are known."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self._addresses = addresses

    def add_to(self, routes: Routes) -> None:
        """Add the routes."""
        routes.add("GET", "/admin/v2/clusters", self.clusters)
        routes.add("GET", "/admin/v2/clusters/{cluster}", self.cluster)
        routes.add("GET", "/admin/v2/brokers/health", self.health)
        routes.add("GET", "/admin/v2/brokers/ready", self.health)
        routes.add("GET", "/status.html", self.health)
        routes.add("GET", "/admin/v2/brokers/version", self.version)
        routes.add("GET", "/admin/v2/brokers/leaderBroker", self.leader)
        routes.add("GET", "/admin/v2/brokers/internal-configuration", self.internal_configuration)
        routes.add("GET", "/admin/v2/brokers/configuration/runtime", self.configuration)
        routes.add("GET", "/admin/v2/brokers", self.brokers)
        routes.add("GET", "/admin/v2/brokers/{cluster}", self.brokers)
        routes.add("GET", f"/lookup/v2/topic/{DOMAIN}/{NAMESPACE}/{{topic}}", self.lookup)
        routes.add("GET", f"/lookup/v2/topic/{DOMAIN}/{NAMESPACE}/{{topic}}/bundle", self.bundle)

    async def clusters(self, _: Request) -> Response:
        """List the one cluster."""
        return answer([CLUSTER])

    async def cluster(self, request: Request) -> Response:
        """Tell a cluster's addresses."""
        if request.parameters["cluster"] != CLUSTER:
            raise NotFoundError("Cluster does not exist")
        urls = self._urls("serviceUrl", "serviceUrlTls", "brokerServiceUrl", "brokerServiceUrlTls")
        return answer({**urls, "brokerClientTlsEnabled": False})

    def _urls(self, http: str, https: str, pulsar: str, pulsar_ssl: str) -> dict[str, str]:
        admin, broker = self._addresses.get("admin", ""), self._addresses.get("broker", "")
        return {
            (https if admin.startswith("https:") else http): admin,
            (pulsar_ssl if broker.startswith("pulsar+ssl:") else pulsar): broker,
        }

    async def brokers(self, request: Request) -> Response:
        """List the one broker."""
        if request.parameters.get("cluster", CLUSTER) != CLUSTER:
            raise NotFoundError("Cluster does not exist")
        return answer([self._address()])

    def _address(self) -> str:
        return self._addresses.get("admin", "").partition("://")[2]

    async def leader(self, _: Request) -> Response:
        """Tell which broker leads."""
        return answer({"serviceUrl": self._addresses.get("admin", ""), "brokerId": self._address()})

    async def internal_configuration(self, _: Request) -> Response:
        """Tell where metadata and ledgers are: there is no store but this broker."""
        return answer({"metadataStoreUrl": "", "configurationMetadataStoreUrl": "", "stateStorageServiceUrl": None})

    async def configuration(self, _: Request) -> Response:
        """Tell what this broker runs with, by Pulsar's names: pulsar-admin reads the cluster's name here."""
        urls = self._urls("webServiceUrl", "webServiceUrlTls", "brokerServiceUrl", "brokerServiceUrlTls")
        return answer({"clusterName": CLUSTER, **urls})

    async def version(self, _: Request) -> Response:
        """Tell this broker's version."""
        return Response(200, version("magnetar-broker").encode(), "text/plain")

    async def health(self, _: Request) -> Response:
        """Say that the broker lives."""
        return Response(200, b"ok", "text/plain")

    async def lookup(self, _: Request) -> Response:
        """Tell clients with an HTTP service URL where topics are: all are here.

        Every name is there, also those without a value, as with a Pulsar: the C++ client, and so Python's, crashes where one
        is missing.
        """
        urls = self._urls("httpUrl", "httpUrlTls", "brokerUrl", "brokerUrlTls")
        plain, secure = urls.get("brokerUrl", ""), urls.get("brokerUrlTls", "")
        names = {"httpUrl": "", "httpUrlTls": "", "brokerUrl": "", "brokerUrlTls": ""}
        return answer({**names, **urls, "nativeUrl": plain, "brokerUrlSsl": secure})

    async def bundle(self, _: Request) -> Response:
        """Tell the one range of a namespace's topics."""
        return Response(200, b"0x00000000_0xffffffff", "text/plain")
