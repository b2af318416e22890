"""`functions invoke`."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from magnetar.cli.connection import Connection
from magnetar.cli.errors import UsageError
from magnetar.cli.options import Name

_STANDARD_INPUT = "-"
_ENDINGS = (".py", ".yml", ".yaml", ".json")
_SLASHES_OF_A_NAME = 2
_MARKS = ("./", "../", "/", "~")


def invoke(
    name: Name,
    connection: Connection,
    *,
    value: Annotated[str | None, Argument(metavar="VALUE", help="A text to send.", show_default=False)] = None,
    event: Annotated[str | None, Option("--event", metavar="FILE", help="A file to send; - is standard input.")] = None,
    topic: Annotated[str | None, Option("--topic", help="Which input topic, when there are several.")] = None,
    timeout: Annotated[float, Option("--timeout", min=0.1, help="Seconds to wait for an answer.")] = 30.0,
) -> None:
    """Send one value to a function and print its answer: to a deployed one, or to a file here.

    FUNCTION is a deployed function's name, or a path: a Python file, a config, or ./directory with a function.yml. From a
    path it runs with a worker and a broker of its own, which end with it; its log goes to standard error.
    """
    from magnetar.cli.functions.invocation import Event, answer_here, answer_of_worker  # noqa: PLC0415 - keeps help quick

    name, value = _sorted_out(name, value)
    if name.function is None:
        name.resolve()
    answer: str | None
    with _sent(value, event) as file:
        what = Event(value, file, topic, timeout)
        if (path := _path_of(name)) is not None:
            answer = answer_here(path, what)
        else:
            answer = answer_of_worker(connection, name.resolve(), what)
    if answer is not None:
        sys.stdout.write(answer + "\n")


def _sorted_out(name: Name, value: str | None) -> tuple[Name, str | None]:
    """Take the one argument for the value where an option names the function."""
    if value is None and name.function is not None and (name.name or name.fqfn):
        return replace(name, function=None), name.function
    return name, value


def _path_of(name: Name) -> Path | None:
    """Return the path that was given in the place of a function's name."""
    given = name.function
    if given is None or not (given.startswith(_MARKS) or given.endswith(_ENDINGS) or given == "."):
        if given and given.count("/") not in (0, _SLASHES_OF_A_NAME) and Path(given).exists():
            raise UsageError(f"{given} is no name of a function; for what lies there write ./{given}")
        return None
    if name.tenant or name.namespace or name.name or name.fqfn:
        raise UsageError(f"{given} is a path: leave --tenant, --namespace, --name and --fqfn out")
    return Path(given).expanduser()


@contextmanager
def _sent(value: str | None, event: str | None) -> Iterator[Path | None]:
    """Give the file to send, None for a value. Raises UsageError."""
    if (value is None) == (event is None):
        raise UsageError("give either a value or --event FILE (- is standard input)")
    if event is None:
        yield None
    elif event == _STANDARD_INPUT:
        with tempfile.NamedTemporaryFile(prefix="magnetar-event-") as file:
            file.write(sys.stdin.buffer.read())
            file.flush()
            yield Path(file.name)
    elif Path(event).is_file():
        yield Path(event)
    else:
        raise UsageError(f"--event {event} is no file: give one that holds what to send, or - for standard input")
