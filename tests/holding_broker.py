"""A real broker on the test's own event loop that keeps back its answers to what a test names."""

import contextlib
from collections import deque
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import anyio
from broker_wire import opened
from magnetar_broker.connection.peer import Peer
from magnetar_broker.connection.service import PulsarService
from magnetar_broker.wire.proto.pulsar_api import BaseCommand


class HoldingBroker:
    """Handles commands of a held type only once they are released."""

    def __init__(self, service: PulsarService) -> None:
        self.url = ""
        self._handlers = dict(service._handlers)
        self._held: dict[int, deque[partial[None]]] = {}
        self._arrived: dict[int, anyio.Event] = {}
        service._handlers = {kind: partial(self._handle, kind) for kind in self._handlers}

    def _handle(self, kind: int, peer: Peer, command: BaseCommand, payload: bytes) -> None:
        handle = partial(self._handlers[kind], peer, command, payload)
        if kind not in self._held:
            handle()
            return
        self._held[kind].append(handle)
        self._arrived[kind].set()

    def hold(self, kind: int) -> None:
        """Keep back what comes of this type from now on."""
        self._held[kind] = deque()
        self._arrived[kind] = anyio.Event()

    async def holds(self, kind: int) -> None:
        """Wait until something of this type has come."""
        await self._arrived[kind].wait()

    def release(self, kind: int) -> None:
        """Handle what was held."""
        for handle in self._held.pop(kind):
            handle()


@contextlib.asynccontextmanager
async def holding_broker(directory: Path) -> AsyncIterator[HoldingBroker]:
    """Serve one on loopback."""
    async with opened(directory) as broker:
        service = PulsarService(broker)
        made = HoldingBroker(service)
        try:
            made.url = f"pulsar://127.0.0.1:{await service.listen('127.0.0.1', 0)}"
            yield made
        finally:
            await service.close()
