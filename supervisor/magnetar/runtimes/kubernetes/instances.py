"""Asking the instance in a pod: its own gRPC, by the DNS name that its headless Service gives it."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from magnetar_instance.proto.control import FunctionStatus, MetricsData

from magnetar.runtimes.process.stub import InstanceStub

T = TypeVar("T")


class Resolver(Protocol):
    """Finds where a pod is reached."""

    def __call__(self, name: str, address: str) -> str:
        """Return a host for a pod's DNS name; `address` is the pod's own, empty while it has none."""


def by_name(name: str, address: str) -> str:  # noqa: ARG001
    """Leave the name to the cluster's DNS, as Pulsar's worker does."""
    return name


def by_address(name: str, address: str) -> str:  # noqa: ARG001
    """Go to the pod's address: for workers whom the cluster's DNS does not serve but its network does."""
    return address


async def status(host: str, port: int) -> FunctionStatus:
    """Return an instance's status, or raise ConnectionError."""
    return await _asked(host, port, InstanceStub.status)


async def metrics(host: str, port: int) -> MetricsData:
    """Return an instance's figures, or raise ConnectionError."""
    return await _asked(host, port, InstanceStub.metrics)


async def _asked(host: str, port: int, ask: Callable[[InstanceStub], Awaitable[T]]) -> T:
    stub = InstanceStub(port, host)
    try:
        return await ask(stub)
    finally:
        await stub.close()
