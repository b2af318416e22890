"""All routes of the admin API."""

from magnetar_broker.admin.packages import PackageRoutes
from magnetar_broker.admin.subscriptions import SubscriptionRoutes
from magnetar_broker.admin.tenants import TenantRoutes
from magnetar_broker.admin.topics import TopicRoutes
from magnetar_broker.broker import Broker
from magnetar_broker.http.messages import Routes


def admin_routes(broker: Broker, addresses: dict[str, str]) -> Routes:
    """Return the routes of a broker; `addresses` is filled once the ports are known."""
    routes = Routes()
    TenantRoutes(broker, addresses).add_to(routes)
    TopicRoutes(broker, addresses).add_to(routes)
    SubscriptionRoutes(broker).add_to(routes)
    PackageRoutes(broker.packages).add_to(routes)
    return routes
