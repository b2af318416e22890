"""Taking in what a journal's segments hold when it opens.

The newest segment whose head is whole names all that there is; so of the older ones the entries alone are wanted, and an
index has them. What follows that head is read record by record.
"""

import mmap
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from magnetar_broker.store.columns import Columns, Run
from magnetar_broker.store.index import index_path, read_index
from magnetar_broker.store.records import place
from magnetar_broker.store.scan import Damage, read_head, scan


class ReplaySink(Protocol):
    """Takes in what a journal holds, oldest first."""

    def head(self, settings: Sequence[tuple[str, object]], older: Iterator[Run]) -> None:
        """Take all the settings that there are, and the entries that were written before them; called first, if at all."""

    def run(self, run: Run) -> None:
        """Take entries of a topic; a later one with the same ids replaces an earlier one."""

    def setting(self, key: str, value: object) -> None:
        """Take a setting."""

    def damage(self, path: Path, damage: Damage) -> None:
        """Take note of damage."""


@dataclass
class Segment:
    """A segment as it is found; `end` is set to where its last whole record ends, `columns` to what was read of it."""

    number: int
    path: Path
    descriptor: int
    size: int = 0
    end: int = 0
    columns: Columns = field(default_factory=Columns)
    damaged: bool = False
    indexed: bool = False

    def __post_init__(self) -> None:
        self.size = os.fstat(self.descriptor).st_size


def replay(segments: Sequence[Segment], sink: ReplaySink) -> None:
    """Give all that the segments hold to `sink`. Raises OSError."""
    newest, settings, end = _newest_head(segments)
    if newest:
        sink.head(settings, _older(segments[:newest], sink))
    for segment in segments[newest:]:
        _read(segment, _SegmentSink(segment, sink), end)
        end = 0


def _newest_head(segments: Sequence[Segment]) -> tuple[int, list[tuple[str, object]], int]:
    """Return which segment has the newest whole head, the settings in it and where it ends; 0 where only the first may."""
    for at in range(len(segments) - 1, 0, -1):
        if segments[at].size:
            with _mapped(segments[at]) as data:
                head = read_head(data)
            if head is not None:
                return at, *head
    return 0, [], 0


def _mapped(segment: Segment) -> mmap.mmap:
    return mmap.mmap(segment.descriptor, segment.size, access=mmap.ACCESS_READ)


def _read(segment: Segment, sink: "_SegmentSink", start: int = 0) -> None:
    if segment.size:
        with _mapped(segment) as data:
            segment.end = scan(data, sink, start)


def _older(segments: Sequence[Segment], sink: ReplaySink) -> Iterator[Run]:
    """Yield the entries of segments whose settings are not wanted any more."""
    for segment in segments:
        columns = read_index(index_path(segment.path), segment.size)
        if columns is not None:
            segment.end, segment.indexed = segment.size, True
        else:
            _read(segment, _EntriesOnly(segment, sink))
            columns = segment.columns
        yield from columns.runs(place(segment.number, 0))


class _SegmentSink:
    """Gives a segment's entries their places, and keeps its columns for an index to come."""

    def __init__(self, segment: Segment, sink: ReplaySink) -> None:
        self._segment = segment
        self._sink = sink

    def entries(self, columns: Columns) -> None:
        self._segment.columns.extend(columns)
        for run in columns.runs(place(self._segment.number, 0)):
            self._sink.run(run)

    def setting(self, key: str, value: object) -> None:
        self._sink.setting(key, value)

    def damage(self, damage: Damage) -> None:
        self._segment.damaged = True
        self._sink.damage(self._segment.path, damage)


class _EntriesOnly(_SegmentSink):
    """Keeps a segment's entries alone."""

    def entries(self, columns: Columns) -> None:
        self._segment.columns.extend(columns)

    def setting(self, key: str, value: object) -> None:
        """A later head has it."""
