"""What an instance answers over gRPC: Pulsar's InstanceControl and the standard health service.

Everything runs on the host's event loop, never in the function's thread: an answer waits for no user code.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

import grpc
import grpc.aio

from magnetar_instance.proto.control import FunctionStatus, HealthCheckResult, MetricsData
from magnetar_instance.proto.health import HealthCheckRequest, HealthCheckResponse


class Observed(Protocol):
    """What can be asked of an instance."""

    def status(self) -> FunctionStatus:
        """Return its status."""

    def metrics(self) -> MetricsData:
        """Return its metrics."""

    def reset_metrics(self) -> None:
        """Reset the minute's figures."""


class Serving:
    """Whether the instance is subscribed, and who waits for a change of that."""

    def __init__(self) -> None:
        self.now = False
        self._changed = asyncio.Event()

    def set(self, serving: bool) -> None:  # noqa: FBT001 - the state itself
        """Note the state; on the event loop."""
        self.now = serving
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def change(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()


class ControlServer:
    """Serves one instance while the context is open; `asked` is called at every health check of a worker."""

    def __init__(self, instance: Observed, serving: Serving, names: set[str], asked: Callable[[], None]) -> None:
        self._instance = instance
        self._serving = serving
        self._names = names
        self._asked = asked
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self._control_service(), self._health_service()))

    async def start(self, host: str, port: int) -> int:
        """Bind and serve; returns the port. Raises OSError when it is taken."""
        try:
            bound: int = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise OSError(f"gRPC port {port} on {host} can't be bound: {error}") from error
        await self._server.start()
        return bound

    async def stop(self) -> None:
        """Stop serving."""
        await self._server.stop(grace=0)

    def _control_service(self) -> grpc.GenericRpcHandler:
        methods: dict[str, Callable[[], Any]] = {
            "GetFunctionStatus": self._instance.status,
            "GetMetrics": self._instance.metrics,
            "GetAndResetMetrics": self._get_and_reset,
            "ResetMetrics": self._instance.reset_metrics,
            "HealthCheck": self._health_check,
        }
        handlers = {name: _handler(_answering(method), _no_request, _bytes_of) for name, method in methods.items()}
        return grpc.method_handlers_generic_handler("proto.InstanceControl", handlers)

    def _get_and_reset(self) -> MetricsData:
        metrics = self._instance.metrics()
        self._instance.reset_metrics()
        return metrics

    def _health_check(self) -> HealthCheckResult:
        self._asked()
        return HealthCheckResult(success=True)

    def _health_service(self) -> grpc.GenericRpcHandler:
        handlers = {
            "Check": _handler(self._check, HealthCheckRequest.FromString, _bytes_of),
            "Watch": grpc.unary_stream_rpc_method_handler(
                self._watch, request_deserializer=HealthCheckRequest.FromString, response_serializer=_bytes_of
            ),
        }
        return grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers)

    async def _check(self, request: HealthCheckRequest, context: grpc.aio.ServicerContext) -> HealthCheckResponse:
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service!r} here")
        return HealthCheckResponse(status="SERVING" if self._serving.now else "NOT_SERVING")

    async def _watch(
        self, request: HealthCheckRequest, _context: grpc.aio.ServicerContext
    ) -> AsyncIterator[HealthCheckResponse]:
        if request.service not in self._names:
            yield HealthCheckResponse(status="SERVICE_UNKNOWN")
        while True:
            if request.service in self._names:
                yield HealthCheckResponse(status="SERVING" if self._serving.now else "NOT_SERVING")
            await self._serving.change()


def _handler(method: Any, read: Callable[[bytes], Any], write: Callable[[Any], bytes]) -> grpc.RpcMethodHandler:
    return grpc.unary_unary_rpc_method_handler(method, request_deserializer=read, response_serializer=write)


def _answering(method: Callable[[], Any]) -> Any:
    async def answer(_request: object, _context: grpc.aio.ServicerContext) -> Any:
        return method()

    return answer


def _no_request(_: bytes) -> None:
    return None


def _bytes_of(message: Any) -> bytes:
    """Return a message's bytes; None stands for google.protobuf.Empty, which has none."""
    return b"" if message is None else bytes(message.SerializeToString())
