"""How a write reaches the leader from another worker."""

from typing import Protocol

from magnetar_instance.proto.function import FunctionMetaData

from magnetar.coordination.base import WorkerInfo


class Forward(Protocol):
    """Asks the leader to write (Pulsar's `PUT /admin/v3/functions/leader/…`)."""

    async def __call__(self, leader: WorkerInfo, metadata: FunctionMetaData, *, delete: bool) -> None:
        """Return when the leader has written. Raises OutOfDateError, NotReadyError, or what else the leader answered."""
