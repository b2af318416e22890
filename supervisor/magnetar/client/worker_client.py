"""The client as a whole."""

from types import TracebackType
from typing import Self

from magnetar.client.calls import Warn, WorkerCalls
from magnetar.client.functions import Functions
from magnetar.client.magnetar_api import MagnetarApi
from magnetar.client.workers import Workers
from magnetar.credentials import BrokerCredentials

_ANONYMOUS = BrokerCredentials()
_TIMEOUT = 60


def _pass_over(_warning: str) -> None:
    """Do nothing with a warning."""


class WorkerClient:
    """A client of one worker, Magnetar's or Pulsar's: an async context manager.

    Every call raises RefusedByWorkerError or UnreachableError. `timeout` is how many seconds a worker may be silent; `warn`
    is called with what it warns about, such as unknown keys of a config.
    """

    def __init__(
        self,
        url: str,
        credentials: BrokerCredentials = _ANONYMOUS,
        *,
        timeout: float = _TIMEOUT,
        warn: Warn = _pass_over,
    ) -> None:
        self._calls = WorkerCalls(url, credentials, timeout, warn)
        self.functions = Functions(self._calls)
        self.workers = Workers(self._calls)
        self.magnetar = MagnetarApi(self._calls)

    @property
    def url(self) -> str:
        """Where the worker is."""
        return self._calls.url

    async def __aenter__(self) -> Self:
        await self._calls.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._calls.__aexit__(kind, error, traceback)
