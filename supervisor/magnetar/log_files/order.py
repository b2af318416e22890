"""What an instance wrote to several files, in the order of time.

A Java instance has two: log4j's log, and beside it what was printed. Both begin a record with its time. What begins none
belongs to the record above it; at the end of a file it is from the JVM itself, as the report of a crash, and as old as the
file's last change. Before the first record it belongs to that one.
"""

import heapq
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from magnetar.log_files.records import record_of


@dataclass(frozen=True)
class Written:
    """Lines of one file, in its order; `changed` is when the file was changed, in seconds since the epoch."""

    lines: Sequence[str]
    changed: float


def in_order(files: Sequence[Written]) -> list[str]:
    """Return the lines of all files by the time of their records; each file keeps its own order."""
    if len([file for file in files if file.lines]) < 2:
        return [line for file in files for line in file.lines]
    merged = heapq.merge(*(_dated(file, printed=bool(at)) for at, file in enumerate(files)), key=lambda each: each[0])
    return [line for _, lines in merged for line in lines]


class Growing(Protocol):
    """A file that is followed."""

    def new_lines(self) -> list[str]:
        """Return the whole lines that were written since the last call."""


def grown_in_order(files: Iterable[Growing]) -> list[str]:
    """Return what several files grew by since the last call, in order among each other."""
    return in_order([Written(file.new_lines(), time.time()) for file in files])


def _dated(file: Written, *, printed: bool) -> Iterator[tuple[float, Sequence[str]]]:
    """Yield the records with their times, which never go back; each line that the JVM prints at the end is one."""
    times = [_time(line) for line in file.lines]
    begins = [at for at, known in enumerate(times) if known is not None]
    if not begins:
        yield file.changed, file.lines
        return
    end = len(file.lines)
    last = begins[-1] + 1 if printed else end
    latest = 0.0
    for begin, next_begin in pairwise([0, *begins[1:], last]):
        latest = max(latest, _first_known(times[begin:]))
        yield latest, file.lines[begin:next_begin]
    if last < end:
        yield max(latest, file.changed), file.lines[last:]


def _first_known(times: Iterable[float | None]) -> float:
    return next(known for known in times if known is not None)


def _time(line: str) -> float | None:
    record = record_of(line)
    return record.time if record else None
