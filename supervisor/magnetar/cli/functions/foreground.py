"""A function in the foreground: its log on standard output, until someone asks for its end."""

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import groupby
from operator import itemgetter

import anyio

from magnetar.localrun import LocalRun
from magnetar.log_files.following import FollowedLog
from magnetar.log_files.order import grown_in_order
from magnetar.logs import log_to

_LOOK = 0.25
"""Seconds between looks at the logs, as when a worker's are followed."""


def run_until_asked(run: LocalRun) -> str:
    """Run until SIGINT or SIGTERM, or until no instance can run any more: then return why."""
    log_to(sys.stderr)
    return anyio.run(_run, run)


async def _run(run: LocalRun) -> str:
    why = ""
    with _logs(run) as logs:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_leave_when_asked, tasks.cancel_scope, name="signals")
            tasks.start_soon(_print_logs, logs, name="logs")
            async with run:
                why = await run.until_hopeless()
            tasks.cancel_scope.cancel()
        _print(logs)
    return why


async def _leave_when_asked(scope: anyio.CancelScope) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()
            return


Logs = list[tuple[int, FollowedLog]]


@contextmanager
def _logs(run: LocalRun) -> Iterator[Logs]:
    with ExitStack() as opened:
        logs = [(number, FollowedLog(file)) for number, files in run.log_files().items() for file in files]
        for _, log in logs:
            opened.callback(log.close)
        yield logs


async def _print_logs(logs: Logs) -> None:
    while True:
        _print(logs)
        await anyio.sleep(_LOOK)


def _print(logs: Logs) -> None:
    several = len({number for number, _ in logs}) > 1
    for number, files in groupby(logs, itemgetter(0)):
        for line in grown_in_order(log for _, log in files):
            sys.stdout.write(f"{number}: {line}\n" if several else f"{line}\n")
