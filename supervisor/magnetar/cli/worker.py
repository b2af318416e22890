"""`magnetar worker`: a worker of a fleet on a Pulsar that is there, in the foreground."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from magnetar.cli.serving import load_serve


def worker(
    conf: Annotated[Path, typer.Option("--conf", "-c", help="The functions_worker.yml.")],
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="Of the ready line.")] = "text",
) -> None:
    """Run a worker on a Pulsar that is there until SIGTERM or Ctrl-C."""
    from magnetar.config import load_config  # noqa: PLC0415 - imported when it runs

    serve = load_serve()

    raise typer.Exit(serve(load_config(conf, environ=os.environ), form))
