"""`magnetar standalone`: a worker and a broker on this host, in the foreground."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from magnetar.cli.serving import load_serve


def standalone(
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept.", show_default=".magnetar")] = None,
    http_port: Annotated[int | None, typer.Option(help="Of the admin REST API.", show_default="8080")] = None,
    broker_port: Annotated[int | None, typer.Option(help="Of Pulsar's binary protocol.", show_default="6650")] = None,
    health_port: Annotated[int | None, typer.Option(help="Of gRPC health.", show_default="9093")] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Of metrics and probes.", show_default="9094")] = None,
    host: Annotated[str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")] = None,
    config: Annotated[Path | None, typer.Option(help="A functions_worker.yml; options win over it.")] = None,
    form: Annotated[Literal["text", "json"], typer.Option("--format", help="Of the ready line.")] = "text",
) -> None:
    """Run a worker and a broker on this host until Ctrl-C; a port of 0 is any free one."""
    serve = load_serve()
    from magnetar.standalone import StandaloneOptions, standalone_config  # noqa: PLC0415

    options = StandaloneOptions(
        data_directory=data_dir,
        host=host,
        http_port=http_port,
        broker_port=broker_port,
        health_port=health_port,
        metrics_port=metrics_port,
        config_file=config,
    )
    raise typer.Exit(serve(standalone_config(options, os.environ), form))
