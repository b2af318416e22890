"""A function's status as Pulsar's clients read it, made from what its instances tell."""

from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from magnetar_instance.proto.control import FunctionStatus as InstanceStatus
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class _Answer(BaseModel):
    """An object of an answer: camelCase on the wire, nulls included."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that clients get."""
        return self.model_dump(mode="json", by_alias=True)


class ExceptionInformation(_Answer):
    """An exception that an instance keeps."""

    exception_string: str
    timestamp_ms: int

    @property
    def sentence(self) -> str:
        """The last line of its traceback."""
        return (self.exception_string.strip().splitlines() or [""])[-1]


class FunctionInstanceStatusData(_Answer):
    """The state of one instance."""

    running: bool = False
    error: str = ""
    num_restarts: int = 0
    num_received: int = 0
    num_successfully_processed: int = 0
    num_user_exceptions: int = 0
    latest_user_exceptions: tuple[ExceptionInformation, ...] | None = ()
    num_system_exceptions: int = 0
    latest_system_exceptions: tuple[ExceptionInformation, ...] | None = ()
    average_latency: float = 0.0
    last_invocation_time: int = 0
    worker_id: str | None = None


class FunctionInstanceStatus(_Answer):
    """One instance and its state."""

    instance_id: int
    status: FunctionInstanceStatusData


class FunctionStatus(_Answer):
    """All instances of a function."""

    num_instances: int = 0
    num_running: int = 0
    instances: tuple[FunctionInstanceStatus, ...] = ()


def running_status(status: InstanceStatus, worker_id: str, restarts: int | None = None) -> FunctionInstanceStatusData:
    """Return what an instance that answered tells of itself; `restarts` is its supervisor's count."""
    system = [*status.latestSystemExceptions, *status.latestSourceExceptions, *status.latestSinkExceptions]
    return FunctionInstanceStatusData(
        running=status.running,
        error=status.failureException,
        num_restarts=status.numRestarts if restarts is None else restarts,
        num_received=status.numReceived,
        num_successfully_processed=status.numSuccessfullyProcessed,
        num_user_exceptions=status.numUserExceptions,
        latest_user_exceptions=_exceptions(status.latestUserExceptions),
        num_system_exceptions=status.numSystemExceptions + status.numSourceExceptions + status.numSinkExceptions,
        latest_system_exceptions=_exceptions(system),
        average_latency=status.averageLatency,
        last_invocation_time=status.lastInvocationTime,
        worker_id=worker_id,
    )


def stopped_status(error: str, worker_id: str, restarts: int = 0) -> FunctionInstanceStatusData:
    """Return the state of an assigned instance that does not run, and why."""
    return FunctionInstanceStatusData(error=error, num_restarts=restarts, worker_id=worker_id)


def unscheduled_status(name: str) -> FunctionInstanceStatusData:
    """Return the state of an instance that no worker was given yet."""
    return FunctionInstanceStatusData(error=f"Function {name} has not been scheduled")


def gather(instances: Iterable[tuple[int, FunctionInstanceStatusData]]) -> FunctionStatus:
    """Return a function's status from the states of its instances."""
    found = tuple(
        FunctionInstanceStatus(instance_id=number, status=data) for number, data in sorted(instances, key=itemgetter(0))
    )
    return FunctionStatus(
        num_instances=len(found), num_running=sum(each.status.running for each in found), instances=found
    )


def _exceptions(
    kept: Iterable[InstanceStatus.ExceptionInformation],
) -> tuple[ExceptionInformation, ...]:
    return tuple(
        ExceptionInformation(exception_string=each.exceptionString, timestamp_ms=each.msSinceEpoch) for each in kept
    )
