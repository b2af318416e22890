"""`functions create`."""

from magnetar.cli.connection import Connection, ask
from magnetar.cli.errors import UsageError
from magnetar.cli.functions.options import FunctionOptions
from magnetar.cli.functions.waiting import Waiting
from magnetar.cli.output import Output, progress, warn


def create(function: FunctionOptions, waiting: Waiting, connection: Connection, output: Output) -> None:
    """Deploy a function from options, a config file, or both.

    The package is --py, --jar or --go: a file here, a URL that the worker reads, or builtin://name. A path in a config file
    is looked for from the current directory, then beside the config file.
    """
    from magnetar.cli.functions.config import read_given  # noqa: PLC0415 - keeps help quick

    given = read_given(function)
    if not (given.config.jar or given.config.py or given.config.go or given.config.function_type):
        raise UsageError("the function has no package: give --py, --jar or --go")
    for sentence in given.warnings:
        warn(sentence)
    with progress(f"Sending {given.file.name if given.file else given.name.fqfn}") as told:
        ask(
            connection,
            lambda worker: worker.functions.create(given.values, file=given.file, url=given.url, progress=told),
        )
    waiting.until_running(connection, given.name)
    output.done(f"Created {given.name.fqfn}.", created=given.name.fqfn)
