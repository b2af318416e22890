"""`functions loglevel`."""

from typing import Annotated

from typer import Option

from magnetar.cli.connection import Connection, ask
from magnetar.cli.errors import UsageError
from magnetar.cli.options import InstanceOption, Name
from magnetar.cli.output import Output

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def loglevel(
    name: Name,
    connection: Connection,
    output: Output,
    *,
    level: Annotated[str, Option("--level", help="DEBUG, INFO, WARNING, ERROR or CRITICAL.")],
    duration: Annotated[
        str, Option("--for", help="How long: 30s, 10m, 2h, 1d; until the next start of the instance without it.")
    ] = "",
    instance_id: InstanceOption = None,
) -> None:
    """Change the level of a Python function's log while it runs; nothing is restarted."""
    function = name.resolve()
    seconds = _seconds(duration) if duration else None
    ask(
        connection,
        lambda worker: worker.magnetar.set_log_level(function, level, seconds=seconds, instance=instance_id),
    )
    which = function.fqfn if instance_id is None else f"{function.fqfn}:{instance_id}"
    output.done(f"{which} logs {level.upper()}{f' for {duration}' if duration else ''}.", level=level.upper())


def _seconds(text: str) -> float:
    number, unit = text[:-1], text[-1:]
    try:
        return float(number) * _UNITS[unit]
    except (ValueError, KeyError):
        raise UsageError(f"--for {text!r} is no duration: write 30s, 10m, 2h or 1d") from None
