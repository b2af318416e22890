"""The right to write, for as long as every write succeeds."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
from structlog.stdlib import BoundLogger

from magnetar.coordination.patience import PASSING
from magnetar.errors import BrokerRefusedError, NotReadyError, RefusedError
from magnetar.pulsar_client import MessageId, Outgoing, Producer

# A message that is not confirmed by then may or may not be stored: the next term reads what was.
_SEND_LIMIT = 10
_TOO_LARGE = 413


class Mandate:
    """Sends for a leader; the first failure, or the broker's choice of another leader, ends it for good.

    `lost` is set then; `written` are the topics that were written since someone last emptied it.
    """

    def __init__(self, logger: BoundLogger) -> None:
        self._logger = logger
        self.lost = anyio.Event()
        self.written: set[str] = set()

    @asynccontextmanager
    async def held(self, lock: anyio.Lock) -> AsyncIterator[None]:
        """Hold a lock as well as the mandate. Raises NotReadyError once it is lost."""
        async with lock:
            if self.lost.is_set():
                raise NotReadyError("the leader is being replaced; try again")
            yield

    async def send(self, producer: Producer, messages: Sequence[Outgoing]) -> MessageId:
        """Send, even when the caller gives up waiting: what is stored must be known here, or the mandate is lost.

        Raises RefusedError for a message above the broker's limit, else NotReadyError.
        """
        try:
            with anyio.fail_after(_SEND_LIMIT, shield=True):
                place = await producer.send_all(messages)
        except (*PASSING, TimeoutError) as error:
            if isinstance(error, BrokerRefusedError) and error.status == _TOO_LARGE:
                raise RefusedError(f"{error}: make the config of the function smaller") from error
            self.lose(f"{producer.topic} can't be written: {str(error) or type(error).__name__}")
            raise NotReadyError("the leader could not write and is being replaced; try again") from error
        self.written.add(producer.topic)
        return place

    def lose(self, reason: str) -> None:
        """End the mandate."""
        if not self.lost.is_set():
            self._logger.warning("giving up the leadership", reason=reason)
            self.lost.set()
