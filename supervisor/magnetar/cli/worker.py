"""`magnetar worker`: a worker of a fleet on a Pulsar that is there, in the foreground."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def worker(
    conf: Annotated[Path, typer.Option("--conf", "-c", help="The functions_worker.yml.")],
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="Of the ready line.")] = "text",
) -> None:
    """Run a worker on a Pulsar that is there until SIGTERM or Ctrl-C."""
    from magnetar.config import ConfigError, load_config  # noqa: PLC0415 - imported when it runs
    from magnetar.errors import StartError  # noqa: PLC0415
    from magnetar.serve import serve  # noqa: PLC0415

    try:
        settings = load_config(conf)
    except ConfigError as error:
        raise StartError(str(error)) from None
    raise typer.Exit(serve(settings, form))
