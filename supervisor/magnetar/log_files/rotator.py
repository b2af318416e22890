"""The task that rotates the logs of running instances.

It is the timer `log rotation` of the documentation, which stands still while all logs are quiet.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio
import anyio.to_thread
from structlog.stdlib import BoundLogger

from magnetar.host_users import as_owner_of
from magnetar.jitter import sooner
from magnetar.log_files.head import head_of
from magnetar.log_files.policy import Growth, LogPolicy, next_look
from magnetar.log_files.quiet import QuietLogs
from magnetar.log_files.records import record_of
from magnetar.log_files.rotation import (
    NotRotatableError,
    prune,
    recover,
    rotate_by_renaming,
    rotate_in_place,
    size_of_lines,
)
from magnetar.tasks import ServingTasks

Reopen = Callable[[], None]
_FIRST_LINE = 512
_SOON = 0.25
"""Seconds from the kernel's word that a quiet log is written to until it is looked at: its growth by then is its rate."""


@dataclass
class _Attended:
    """A log and its writers, two while an instance is replaced: what tells each to open it anew, None where it can't."""

    path: Path
    writers: list[Reopen | None] = field(default_factory=list)
    growth: Growth | None = None
    looked_at: float = 0.0
    shape: tuple[int, int] = (0, 0)
    quiet: bool = False
    begun: tuple[tuple[int, int], float] = ((0, -1), 0.0)
    problem: str = ""


@dataclass(frozen=True)
class _Seen:
    """What one look at all logs found, told on the worker's own thread."""

    to_reopen: list[Reopen] = field(default_factory=list)
    deleted: list[Path] = field(default_factory=list)
    problems: list[tuple[_Attended, str]] = field(default_factory=list)


class LogRotator:
    """Rotates logs while it is entered; looks at the sizes of those that grow, as often as the fastest makes it necessary.

    The kernel could tell of each write, at a price that grows with what is written. So it is asked only to tell when a log
    that has stopped growing is written to again: while all are quiet, nothing is done.
    """

    def __init__(self, policy: LogPolicy, logger: BoundLogger) -> None:
        self._policy = policy
        self._log = logger
        self._attended: dict[Path, _Attended] = {}
        self._quiet = QuietLogs()
        self._due = inf
        self._waiting = anyio.CancelScope()
        self._tasks = ServingTasks()

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tasks.group.start_soon(self._run, name="log rotation")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self._tasks.__aexit__(kind, error, trace)

    def attend(self, log: Path, reopen: Reopen | None) -> Callable[[], None]:
        """Rotate a log from now on that one more writer has; returns what ends that."""
        attended = self._attended.setdefault(log, _Attended(log))
        attended.writers.append(reopen)
        if self._due == inf:
            self._look_in(0)
            self._waiting.cancel()

        def forget() -> None:
            attended.writers.remove(reopen)
            if not attended.writers:
                del self._attended[log]

        return forget

    async def _run(self) -> None:
        with self._quiet:
            while True:
                await self._until_due()
                growing = [each for each in self._attended.values() if not each.quiet]
                seen = await anyio.to_thread.run_sync(self._look, growing)
                self._tell(seen)
                growths = [each.growth or Growth(0) for each in self._attended.values() if not each.quiet]
                self._look_in(next_look(self._policy, growths) if growths else inf)

    def _look_in(self, seconds: float) -> None:
        self._due = time.monotonic() + sooner(seconds)

    async def _until_due(self) -> None:
        """Wait for the next look; what the kernel tells of is looked at soon."""
        while (left := self._due - time.monotonic()) > 0:
            changed: set[Path] = set()
            # The timer `log rotation`.
            with anyio.move_on_after(left) as self._waiting:
                changed = await self._quiet.changed()
            for log in [each for each in self._attended.values() if each.quiet and each.path in changed]:
                log.quiet, log.looked_at = False, time.monotonic()
                self._due = min(self._due, log.looked_at + _SOON)

    def _tell(self, seen: _Seen) -> None:
        for reopen in seen.to_reopen:
            reopen()
        if seen.deleted:
            self._log.info("Old logs were deleted.", files=[path.name for path in seen.deleted])
        for each, problem in seen.problems:
            if problem != each.problem:
                self._log.warning("A log can't be rotated.", log=each.path, reason=problem)
            each.problem = problem

    # In a thread.

    def _look(self, logs: list[_Attended]) -> _Seen:
        seen = _Seen()
        for each in logs:
            try:
                with as_owner_of(each.path.parent):
                    self._look_at(each, seen)
            except (OSError, NotRotatableError) as problem:
                seen.problems.append((each, str(problem)))
        return seen

    def _look_at(self, log: _Attended, seen: _Seen) -> None:
        if log.growth is None:
            recover(log.path, self._policy.files)
        try:
            stat = log.path.stat()
        except FileNotFoundError:
            # It was renamed, and its writer may not have come to open it anew; or nothing was written yet.
            seen.to_reopen.extend(filter(None, log.writers))
            return
        shape, log.shape = log.shape, (stat.st_ino, stat.st_size)
        if log.growth is not None and shape == log.shape and not self._policy.max_age:
            log.growth, log.looked_at = Growth(log.growth.size), time.monotonic()
            log.quiet = self._rests(log)
            return
        now, size = time.monotonic(), size_of_lines(log.path)
        before, passed = log.growth or Growth(size), now - log.looked_at
        log.growth, log.looked_at = Growth(size, max(size - before.size, 0) / passed if passed else 0.0), now
        if self._policy.is_due(size, self._age(log)):
            self._rotate(log, log.growth, seen)

    def _rests(self, log: _Attended) -> bool:
        """Whether the kernel will tell when a log is written to again; it was not since it was looked at."""
        if not self._quiet.watch(log.path):
            return False
        stat = log.path.stat()
        return log.shape == (stat.st_ino, stat.st_size)

    def _rotate(self, log: _Attended, growth: Growth, seen: _Seen) -> None:
        writers = list(log.writers)
        if all(writers):
            rotate_by_renaming(log.path, self._policy.files)
            seen.to_reopen.extend(filter(None, writers))
        elif not rotate_in_place(log.path, self._policy.files):
            return
        log.growth = Growth(0, growth.rate)
        if self._policy.total_bytes:
            seen.deleted.extend(prune(log.path.parent, self._policy.total_bytes))

    def _age(self, log: _Attended) -> float:
        """Return how old a log's first record is, or how long ago it was seen to begin; 0 where age does not matter."""
        if not self._policy.max_age:
            return 0.0
        with log.path.open("rb", buffering=0) as file:
            number = file.fileno()
            beginning = os.fstat(number).st_ino, head_of(number).first
            if log.begun[0] != beginning:
                log.begun = beginning, _first_time(number) or time.time()
        return time.time() - log.begun[1]


def _first_time(descriptor: int) -> float | None:
    text = os.pread(descriptor, _FIRST_LINE, head_of(descriptor).offset).decode(errors="replace")
    found = record_of(text.partition("\n")[0])
    return found.time if found else None
