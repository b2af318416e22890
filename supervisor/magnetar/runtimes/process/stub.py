"""Asking an instance process over gRPC; plain channels and the private message classes, no generated stubs."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import Message
from magnetar_instance.proto.control import FunctionStatus, HealthCheckResult, MetricsData
from magnetar_instance.proto.health import HealthCheckResponse

if TYPE_CHECKING:
    from grpc.aio import Channel

Answer = TypeVar("Answer", bound=Message)
DEADLINE = 5.0
"""Seconds that an instance has for an answer, as Pulsar's worker gives it."""
_SERVING = 1
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class InstanceStub:
    """Pulsar's InstanceControl of one instance; on loopback unless a host is given."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._address = f"{host}:{port}"
        self._opened: Channel | None = None
        self._closed = False

    @property
    def _channel(self) -> "Channel":
        """The channel, opened at the first call: most instances are rarely asked."""
        from grpc.aio import insecure_channel  # noqa: PLC0415 - a program that says nothing is never asked

        if self._opened is None:
            self._opened = insecure_channel(self._address, options=_OPTIONS)
        return self._opened

    async def status(self) -> FunctionStatus:
        """Ask for the status, or raise ConnectionError."""
        return await self._ask("GetFunctionStatus", FunctionStatus.FromString)

    async def first_status(self) -> FunctionStatus:
        """Ask for the status as soon as the port is served, or raise ConnectionError."""
        return await self._ask("GetFunctionStatus", FunctionStatus.FromString, wait_for_ready=True)

    async def metrics(self) -> MetricsData:
        """Ask for the figures, or raise ConnectionError."""
        return await self._ask("GetMetrics", MetricsData.FromString)

    async def health_check(self) -> bool:
        """Tell the instance's watchdog that its worker lives, or raise ConnectionError."""
        return (await self._ask("HealthCheck", HealthCheckResult.FromString)).success

    async def serving(self, *, wait_for_ready: bool = False) -> bool:
        """Ask an instance of ours whether it is subscribed, or raise ConnectionError."""
        read = HealthCheckResponse.FromString
        answer = await self._ask("Check", read, wait_for_ready=wait_for_ready, service="grpc.health.v1.Health")
        return answer.status == _SERVING

    async def _ask(
        self,
        method: str,
        read: Callable[[bytes], Answer],
        *,
        wait_for_ready: bool = False,
        service: str = "proto.InstanceControl",
    ) -> Answer:
        from grpc.aio import AioRpcError  # noqa: PLC0415

        if self._closed:
            raise ConnectionError(f"the instance has ended and can't be asked for {method}")
        call = self._channel.unary_unary(f"/{service}/{method}", _nothing, read)
        try:
            answer: Answer = await call(b"", timeout=DEADLINE, wait_for_ready=wait_for_ready)
        except AioRpcError as error:
            raise ConnectionError(
                f"the instance did not answer {method}: {error.code().name} {error.details()}"
            ) from error
        except asyncio.CancelledError:
            # Closing the channel cancels what is under way: for the one who asked, the connection was lost.
            if not self._closed:
                raise
            raise ConnectionError(f"the instance ended while it was asked for {method}") from None
        return answer

    async def close(self) -> None:
        """Close the channel; whoever asks afterwards gets a ConnectionError, as gRPC's own error is none."""
        self._closed = True
        # Who still holds the stub must not hold the channel: gRPC's thread goes on until the last one is forgotten.
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()


def _nothing(_: bytes) -> bytes:
    return b""
