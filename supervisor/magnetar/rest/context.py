"""All that the REST API is made of."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property

from magnetar.access import Authentication, Authorization
from magnetar.coordination.base import Coordination
from magnetar.functions.service import FunctionsService
from magnetar.health.readiness import Readiness
from magnetar.packages.store import PackageStore
from magnetar.rest.access import Access
from magnetar.rest.proxy import BrokerProxy
from magnetar.rest.settings import RestSettings
from magnetar.supervision.base import ObservedInstances


@dataclass(frozen=True)
class RestContext:
    """What the composer hands to `build_app`; `proxy`, where given, takes the requests that are the broker's.

    Without `authentication` and `authorization` everyone may do everything.
    """

    functions: FunctionsService
    coordination: Coordination
    instances: ObservedInstances
    readiness: Readiness
    metrics: Callable[[], Awaitable[str]]
    packages: PackageStore
    settings: RestSettings = field(default_factory=RestSettings)
    proxy: BrokerProxy | None = None
    authentication: Authentication | None = None
    authorization: Authorization | None = None

    @cached_property
    def access(self) -> Access:
        """What routes demand of callers."""
        return Access(self.authorization)
