"""Stopping and starting, as changes of a function's metadata by Pulsar's rules. Pure."""

from magnetar_instance.proto.function import RUNNING, STOPPED, FunctionMetaData

from magnetar.errors import RefusedError

_REFUSED = "Operation not permitted"


def with_state(metadata: FunctionMetaData, instance_id: int | None, *, running: bool) -> FunctionMetaData:
    """Return the metadata with one instance, or with all of them, to run or to be stopped.

    Raises RefusedError when that would change nothing, and for an instance that Pulsar's workers would not know.
    """
    count = metadata.functionDetails.parallelism
    check_instance(instance_id, count)
    word = "running" if running else "stopped"
    states = dict(metadata.instanceStates)
    if not states:
        if running:
            raise RefusedError(f"{_REFUSED}: it was never stopped")
        states = dict.fromkeys(range(count), RUNNING)
    wanted = RUNNING if running else STOPPED
    if instance_id is not None and instance_id not in states:
        raise RefusedError(f"{_REFUSED}: instance {instance_id} came with an update; stop or start the whole function")
    targets = range(count) if instance_id is None else (instance_id,)
    if all(states.get(each, RUNNING) == wanted for each in targets):
        raise RefusedError(f"{_REFUSED}: it is {word} already")
    changed = FunctionMetaData()
    changed.CopyFrom(metadata)
    changed.version += 1
    changed.instanceStates.clear()
    changed.instanceStates.update(states | dict.fromkeys(targets, wanted))
    return changed


def check_instance(instance_id: int | None, count: int) -> None:
    """Raise RefusedError for an instance that a function with so many does not have."""
    if instance_id is not None and not 0 <= instance_id < count:
        raise RefusedError(f"{_REFUSED}: there is no instance {instance_id}; there are 0 to {count - 1}")
