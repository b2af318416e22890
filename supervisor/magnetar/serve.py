"""Running a server as a program of its own: signals, the ready line, exit codes."""

import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Literal

import anyio
import anyio.abc
from structlog.stdlib import BoundLogger

from magnetar.config import WorkerConfig
from magnetar.logs import log_to, worker_logger
from magnetar.server import Addresses, Server
from magnetar.tasks import ServingTasks
from magnetar.worker_settings import survival

Format = Literal["text", "json"]
_AT_ONCE = 130


def serve(config: WorkerConfig, form: Format) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP; returns the exit code. One line on standard output tells the addresses.

    The first signal is polite, the second ends everything at once: instances die with the worker. Raises StartError.
    """
    log_to(sys.stderr)
    logger = worker_logger()
    for warning in config.warnings:
        logger.warning(warning)
    return anyio.run(_serve, config, form, logger)


async def _serve(config: WorkerConfig, form: Format, logger: BoundLogger) -> int:
    async def tell(server: Server, asked: anyio.Event) -> None:
        sys.stdout.write(_ready_line(server.addresses, form) + "\n")
        sys.stdout.flush()
        await asked.wait()
        running = sum(view.pid is not None for view in server.worker.instances.views())
        logger.info(_stopping(server.worker.config), instances=running)

    await serve_until_asked(config, tell, logger)
    logger.info("Stopped.")
    return 0


async def serve_until_asked(
    config: WorkerConfig, work: Callable[[Server, anyio.Event], Awaitable[None]], logger: BoundLogger
) -> None:
    """Serve while `work` runs, which is given the event of the first SIGINT, SIGTERM or SIGHUP; the second ends the process.

    A signal before the server is ready ends its start. Raises StartError.
    """
    asked, ready = anyio.Event(), False
    async with ServingTasks() as tasks:

        def stop() -> None:
            asked.set()
            if not ready:
                tasks.group.cancel_scope.cancel()

        await tasks.group.start(_listen, stop, logger, name="signals")
        async with Server(config, logger=logger) as server:
            ready = True
            await work(server, asked)


async def _listen(
    stop: Callable[[], None],
    logger: BoundLogger,
    *,
    task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    with anyio.open_signal_receiver(*_asking()) as signals:
        task_status.started()
        first = True
        async for number in signals:
            if not first and number == signal.SIGHUP:
                continue  # a terminal that goes away may say so twice
            if not first:
                logger.warning("Ending at once.")
                os._exit(_AT_ONCE)
            first = False
            stop()


def _asking() -> tuple[signal.Signals, ...]:
    """Return the signals that ask for an end; a hangup is one, unless nohup or the like has it ignored."""
    asking = (signal.SIGINT, signal.SIGTERM)
    return asking if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (*asking, signal.SIGHUP)


def _stopping(config: WorkerConfig) -> str:
    lived = survival(config)
    if lived is None:
        return "Stopping: waiting for the instances; signal again to end at once."
    return f"Stopping: the instances go on for {lived.survive_for:g} s, for the next worker of this directory."


def _ready_line(addresses: Addresses, form: Format) -> str:
    if form == "json":
        return json.dumps(addresses.to_json())
    return "Magnetar is ready: " + ", ".join(f"{name} {value}" for name, value in addresses.to_json().items())
