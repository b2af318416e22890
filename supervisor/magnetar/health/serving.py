"""Which of the names that a health client may ask for are serving. Pure."""

from collections.abc import Iterable
from enum import IntEnum

from magnetar.lifecycle import Phase
from magnetar.supervision.base import InstanceView


class Serving(IntEnum):
    """The states of grpc.health.v1."""

    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


def serving_table(views: Iterable[InstanceView], *, worker_ready: bool) -> dict[str, Serving]:
    """Return the state of each service name: "" for the worker, `tenant/ns/name`, and `tenant/ns/name/0` for instances.

    A function serves when all its wanted instances on this worker run, and does not when all of them are stopped.
    """
    by_function: dict[str, list[InstanceView]] = {}
    table = {"": _state(worker_ready)}
    for view in views:
        by_function.setdefault(view.fqfn, []).append(view)
        table[f"{view.fqfn}/{view.instance_id}"] = _state(view.phase is Phase.RUNNING)
    for fqfn, instances in by_function.items():
        wanted = [view for view in instances if view.phase is not Phase.STOPPED]
        table[fqfn] = _state(bool(wanted) and all(view.phase is Phase.RUNNING for view in wanted))
    return table


def _state(serves: bool) -> Serving:  # noqa: FBT001
    return Serving.SERVING if serves else Serving.NOT_SERVING
