"""The lines of a function's logs as they come.

Growth is seen by looking at each followed file's size four times a second, and only while somebody follows it. The kernel
could tell (inotify), but not of files on network mounts, not beyond a limit per user that other programs share, and not
without a descriptor for each file; rotation, which this reading sees by itself, would need watches on directories as well.
The timer is `log following` of the documentation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import anyio
import anyio.to_thread

from magnetar.jitter import spread
from magnetar.log_files.following import FollowedLog
from magnetar.log_files.order import Written, grown_in_order, in_order
from magnetar.log_files.reading import last_lines
from magnetar.log_files.records import Wanted
from magnetar.rest.v1.server_sent import Outlet, Source, Told

_LOOK = 0.25


def event(instance_id: int, line: str) -> Told:
    """Return a line of a log as its JSON object."""
    return {"instanceId": instance_id, "line": line}


@dataclass(frozen=True)
class Window:
    """What of a log is asked for: at most so many last lines of those wanted."""

    count: int
    wanted: Wanted


def read_tail(files: Sequence[Path], instance_id: int, window: Window) -> list[Told]:
    """Return an instance's last lines, in the order in which they were written. Blocking."""
    written = [Written(last_lines(file, window.count, window.wanted), _changed(file)) for file in files]
    return [event(instance_id, line) for line in in_order(written)[-window.count :]] if window.count else []


def _changed(file: Path) -> float:
    """Return when a file was last written to, 0 where there is none."""
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def followed(local: Mapping[int, Sequence[Path]], window: Window, goes_on: Callable[[], bool]) -> Source:
    """Return a source of the last lines, then of every line as it comes, until `goes_on` is false and nothing is left."""

    async def lines(outlet: Outlet) -> None:
        growing: list[tuple[int, FollowedLog]] = []
        try:
            growing, found = await anyio.to_thread.run_sync(_begin, local, window)
            while True:
                for each in found:
                    await outlet.send(each)
                if not found:
                    if not goes_on():
                        return
                    # The timer `following`.
                    await anyio.sleep(spread(_LOOK))
                found = await anyio.to_thread.run_sync(_grown, growing)
        finally:
            for _, file in growing:
                file.close()

    return lines


def _begin(local: Mapping[int, Sequence[Path]], window: Window) -> tuple[list[tuple[int, FollowedLog]], list[Told]]:
    """Open the files at their ends, then read what stands before: a line written in between comes twice, not never."""
    growing = [(number, FollowedLog(file, window.wanted)) for number, files in local.items() for file in files]
    return growing, [each for number, files in local.items() for each in read_tail(files, number, window)]


def _grown(growing: Sequence[tuple[int, FollowedLog]]) -> list[Told]:
    return [
        event(instance_id, line)
        for instance_id, files in groupby(growing, itemgetter(0))
        for line in grown_in_order(file for _, file in files)
    ]
