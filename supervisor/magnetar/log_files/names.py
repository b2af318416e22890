"""The files of one log: `f-0.log` is written to, `f-0.log.1` is the newest of those that were rotated away."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

_ROTATED = re.compile(r"\.(?P<log>log|out)\.(?P<number>\d+)$")


@dataclass(frozen=True)
class RotatedFile:
    """A file that was rotated away, numbered from 1 (0: its rotation is not finished), and its inode when it was listed."""

    path: Path
    number: int
    inode: int


def numbered(log: Path, number: int) -> Path:
    """Return the name of a rotated file."""
    return log.with_name(f"{log.name}.{number}")


def unfinished(log: Path, first: int) -> Path:
    """Return the name of what an in-place rotation has copied, until the log begins at the position `first`."""
    return log.with_name(f"{log.name}.rotating-{first}")


def partial(log: Path) -> Path:
    """Return the name of a copy that is not whole."""
    return log.with_name(f"{log.name}.partial")


def rotated(log: Path) -> list[RotatedFile]:
    """List the rotated files of a log by one look into its directory, newest first."""
    return files_of(log).up_to(0)


def unfinished_of(log: Path) -> list[tuple[RotatedFile, int]]:
    """List what an interrupted rotation left whole, with the position at which its log is to begin."""
    return [(file, first) for file, first in _listed(log) if not file.number]


@dataclass(frozen=True)
class Files:
    """The files beside a log at one look, with the position at which the log is to begin where a rotation is under way."""

    found: frozenset[tuple[RotatedFile, int]]

    def under_way(self, first: int) -> bool:
        """Whether a log that begins at a position is about to lose its head."""
        return any(where > first for _, where in self.found)

    def up_to(self, first: int) -> list[RotatedFile]:
        """Return the rotated files of a log that begins at a position, newest first, with one not yet numbered."""
        chosen = [file for file, where in self.found if file.number or (where and where == first)]
        return sorted(chosen, key=lambda file: file.number)


def files_of(log: Path) -> Files:
    """List what stands beside a log."""
    return Files(frozenset(_listed(log)))


def _listed(log: Path) -> list[tuple[RotatedFile, int]]:
    prefix = f"{log.name}."
    found = []
    try:
        with os.scandir(log.parent) as entries:
            for entry in entries:
                kind = entry.name.removeprefix(prefix) if entry.name.startswith(prefix) else ""
                if kind.isdecimal():
                    found.append((RotatedFile(Path(entry.path), int(kind), entry.inode()), 0))
                elif kind.startswith("rotating-") and kind.removeprefix("rotating-").isdecimal():
                    first = int(kind.removeprefix("rotating-"))
                    found.append((RotatedFile(Path(entry.path), 0, entry.inode()), first))
    except FileNotFoundError:
        return []
    return found


def is_rotated(name: str) -> bool:
    """Whether a file's name is that of a rotated log."""
    return _ROTATED.search(name) is not None
