"""`functions download`."""

from pathlib import Path
from typing import Annotated

from typer import Option

from magnetar.cli.connection import Connection, ask
from magnetar.cli.errors import UsageError
from magnetar.cli.options import Name
from magnetar.cli.output import Output, progress


def download(
    name: Name,
    connection: Connection,
    output: Output,
    *,
    destination_file: Annotated[
        Path, Option("--destination-file", "--destinationFile", dir_okay=False, help="Where to write it.")
    ],
    path: Annotated[str | None, Option("--path", help="A path of the package store, instead of a function.")] = None,
) -> None:
    """Write a function's package, or what is stored under a path, to a file."""
    if path and (name.function or name.name or name.fqfn):
        raise UsageError("give either a function or --path")
    function = None if path else name.resolve()
    with progress(f"Fetching {path or (function.fqfn if function else '')}") as told:
        ask(
            connection,
            lambda worker: worker.functions.download(destination_file, name=function, path=path, progress=told),
        )
    output.done(f"Wrote {destination_file}.", written=str(destination_file))
