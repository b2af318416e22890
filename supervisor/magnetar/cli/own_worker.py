"""A worker and a broker that last as long as one command, on free ports and in a directory that goes with it."""

import logging
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import anyio

from magnetar.client import WorkerClient
from magnetar.errors import StartError
from magnetar.logs import log_to, worker_logger
from magnetar.serve import serve_until_asked
from magnetar.server import Server
from magnetar.standalone import StandaloneOptions, standalone_config
from magnetar.tasks import unless

T = TypeVar("T")


def with_own_worker(
    work: Callable[[Server, WorkerClient], Awaitable[T]], *, http_port: int = 0, level: int = logging.ERROR
) -> T | None:
    """Run a worker while `work` goes on and return its result; None where someone asked for the end before.

    `level` is the lowest of the worker's log that is shown.

    Raises StartError when there can be no worker, and what `work` raises.
    """
    log_to(level=level)
    with tempfile.TemporaryDirectory(prefix="magnetar-") as directory:
        return anyio.run(_with, Path(directory), work, http_port)


async def _with(directory: Path, work: Callable[[Server, WorkerClient], Awaitable[T]], http_port: int) -> T | None:
    options = StandaloneOptions(
        data_directory=directory, http_port=http_port, broker_port=0, health_port=0, metrics_port=0
    )
    result: T | None = None

    async def inside(server: Server, asked: anyio.Event) -> None:
        nonlocal result
        if server.addresses.http is None:
            raise StartError("this command speaks plain HTTP to its own worker: leave workerPort set")
        async with WorkerClient(server.addresses.http) as client:
            result = await unless(asked.wait, lambda: work(server, client))

    await serve_until_asked(standalone_config(options, os.environ), inside, worker_logger())
    return result
