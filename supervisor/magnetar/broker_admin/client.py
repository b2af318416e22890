"""The admin client as a whole."""

from types import TracebackType
from typing import Self

from magnetar.admin_calls import AdminCalls
from magnetar.broker_admin.packages import Packages
from magnetar.broker_admin.tenancy import Tenancy
from magnetar.broker_admin.topics import Topics
from magnetar.credentials import BrokerCredentials

_ANONYMOUS = BrokerCredentials()


class BrokerAdmin(Tenancy, Topics, Packages):
    """The broker's admin API: an async context manager.

    Every call raises BrokerRefusedError with the broker's status and reason, or NotReadyError when nothing answers.
    """

    def __init__(self, url: str, credentials: BrokerCredentials = _ANONYMOUS) -> None:
        super().__init__(AdminCalls(url, credentials, "start the broker, or correct pulsarWebServiceUrl"))

    @property
    def url(self) -> str:
        """Where the API is."""
        return self._calls.url

    async def __aenter__(self) -> Self:
        await self._calls.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._calls.__aexit__(kind, error, traceback)
