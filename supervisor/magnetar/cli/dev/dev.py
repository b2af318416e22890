"""`magnetar dev`."""

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from typer import Argument, Option


def dev(
    paths: Annotated[
        list[Path], Argument(help="Functions: a config, a directory with a function.yml, or a Python file.")
    ],
    *,
    data_dir: Annotated[
        Path | None, Option(help="Where messages are kept [nowhere: they are gone with the command].")
    ] = None,
    http_port: Annotated[int, Option(help="Of the admin REST API; 0 is any.")] = 8080,
    broker_port: Annotated[int, Option(help="Of Pulsar's binary protocol; 0 is any.")] = 6650,
    no_reload: Annotated[bool, Option("--no-reload", help="Leave functions as they are when files change.")] = False,
) -> None:
    """Run functions with a broker and a worker of their own, print their logs, and reload them when their files change.

    What can't be loaded is told, and the version before goes on. Ctrl-C ends it.
    """
    import anyio  # noqa: PLC0415 - keeps help quick

    from magnetar.cli.dev.session import develop  # noqa: PLC0415
    from magnetar.cli.dev.sources import source  # noqa: PLC0415
    from magnetar.standalone import StandaloneOptions, standalone_config  # noqa: PLC0415

    sources = [source(path) for path in paths]
    with ExitStack() as stack:
        directory = (
            data_dir.absolute()
            if data_dir
            else Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="magnetar-dev-")))
        )
        options = StandaloneOptions(
            data_directory=directory, http_port=http_port, broker_port=broker_port, health_port=0, metrics_port=0
        )
        anyio.run(develop, standalone_config(options, os.environ), sources, not no_reload)
