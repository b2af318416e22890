"""Changing the level of logs while functions run, wherever they do."""

from magnetar.errors import NotReadyError, RefusedError
from magnetar.functions import owners
from magnetar.functions.context import FunctionsContext
from magnetar.functions.states import check_instance
from magnetar.model.names import FunctionName, fqiid


async def set_log_level(
    context: FunctionsContext, name: FunctionName, instance_id: int | None, level: str, seconds: float | None
) -> None:
    """Set the level of one instance's log or of all. Raises UnknownFunctionError, RefusedError, NotReadyError.

    After `seconds` the level is the one before; without them it stays until the instance is started again.
    """
    count = context.metadata(name).functionDetails.parallelism
    check_instance(instance_id, count)
    elsewhere = await owners.elsewhere(context, name)
    problems = []
    for each in range(count) if instance_id is None else [instance_id]:
        try:
            if each in elsewhere:
                await context.peers.set_log_level(elsewhere[each], name, each, level, seconds)
            else:
                context.instances.set_log_level(fqiid(name.fqfn, each), level, seconds)
        except ConnectionError as error:
            problems.append(f"instance {each}: {error}")
    if problems:
        raise NotReadyError("; ".join(problems))


def read_level(text: str, levels: tuple[str, ...]) -> str:
    """Return the level that a text names in any case. Raises RefusedError."""
    level = {"WARN": "WARNING", "FATAL": "CRITICAL"}.get(text.upper(), text.upper())
    if level not in levels:
        raise RefusedError(f"level {text!r} is none of {', '.join(levels)}")
    return level
