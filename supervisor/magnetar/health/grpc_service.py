"""grpc.health.v1 for the worker, its functions and their instances."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import grpc
import grpc.aio
from magnetar_instance.proto.health import HealthCheckRequest, HealthCheckResponse

from magnetar.errors import AddressInUseError
from magnetar.health.serving import Serving
from magnetar.supervision.base import ObservedInstances

_CLOSE_GRACE = 0.5


class HealthService:
    """Answers Check and Watch from the table of what serves; Watch tells of every change at once."""

    def __init__(self, table: Callable[[], dict[str, Serving]], instances: ObservedInstances) -> None:
        self._table = table
        self._instances = instances

    async def check(
        self, request: HealthCheckRequest, context: "grpc.aio.ServicerContext[HealthCheckRequest, HealthCheckResponse]"
    ) -> HealthCheckResponse:
        """Return the state of one service, or NOT_FOUND."""
        state = self._table().get(request.service)
        if state is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no function or instance here is named {request.service!r}")
        return HealthCheckResponse(status=(state or Serving.NOT_SERVING).name)

    async def watch(
        self, request: HealthCheckRequest, _: "grpc.aio.ServicerContext[HealthCheckRequest, HealthCheckResponse]"
    ) -> AsyncIterator[HealthCheckResponse]:
        """Send the state now and after each change, SERVICE_UNKNOWN while there is no such service."""
        told: Serving | None = None
        while True:
            seen = self._instances.generation
            state = self._table().get(request.service, Serving.SERVICE_UNKNOWN)
            if state is not told:
                told = state
                yield HealthCheckResponse(status=state.name)
            await self._instances.changed(seen)

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the handlers under the service's standard name."""
        read, write = HealthCheckRequest.FromString, HealthCheckResponse.SerializeToString
        return grpc.method_handlers_generic_handler(
            "grpc.health.v1.Health",
            {
                "Check": grpc.unary_unary_rpc_method_handler(self.check, read, write),
                "Watch": grpc.unary_stream_rpc_method_handler(self.watch, read, write),
            },
        )


@asynccontextmanager
async def serve_health(service: HealthService, host: str, port: int) -> AsyncIterator[int]:
    """Serve on `host:port` (0 chooses a free port) and yield the port. Raises AddressInUseError."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((service.handler(),))
    try:
        bound = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as error:
        raise AddressInUseError("healthPort (--health-port)", host, port) from error
    # A start that is cancelled leaves a server whose own task fails, and with which nothing ends; it takes no time.
    with anyio.CancelScope(shield=True):
        await server.start()
    try:
        yield bound
    finally:
        await server.stop(_CLOSE_GRACE)
