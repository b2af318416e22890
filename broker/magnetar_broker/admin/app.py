"""All routes of the admin API."""

from magnetar_broker.admin.brokers import BrokerRoutes
from magnetar_broker.admin.messages import MessageRoutes
from magnetar_broker.admin.namespaces import NamespaceRoutes
from magnetar_broker.admin.packages import PackageRoutes
from magnetar_broker.admin.permissions import PermissionRoutes
from magnetar_broker.admin.schemas import SchemaRoutes
from magnetar_broker.admin.subscriptions import SubscriptionRoutes
from magnetar_broker.admin.tenants import TenantRoutes
from magnetar_broker.admin.topics import TopicRoutes
from magnetar_broker.broker import Broker
from magnetar_broker.http.messages import Routes


def admin_routes(broker: Broker, addresses: dict[str, str]) -> Routes:
    """Return the routes of a broker; `addresses` is filled once the ports are known."""
    routes = Routes()
    BrokerRoutes(addresses).add_to(routes)
    TenantRoutes(broker).add_to(routes)
    NamespaceRoutes(broker).add_to(routes)
    PermissionRoutes(broker).add_to(routes)
    TopicRoutes(broker).add_to(routes)
    SubscriptionRoutes(broker).add_to(routes)
    MessageRoutes(broker).add_to(routes)
    SchemaRoutes(broker).add_to(routes)
    PackageRoutes(broker.packages).add_to(routes)
    return routes
