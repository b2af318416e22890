"""`functions upload`."""

from pathlib import Path
from typing import Annotated

from typer import Option

from magnetar.cli.connection import Connection, ask
from magnetar.cli.output import Output, progress


def upload(
    connection: Connection,
    output: Output,
    *,
    source_file: Annotated[
        Path, Option("--source-file", "--sourceFile", exists=True, dir_okay=False, help="The file to store.")
    ],
    path: Annotated[str, Option("--path", help="Where to store it.")],
) -> None:
    """Store a file under a path of the package store."""
    with progress(f"Sending {source_file.name}") as told:
        ask(connection, lambda worker: worker.functions.upload(source_file, path, told))
    output.done(f"Stored {source_file} as {path}.", stored=path)
