"""What a command prints: tables on a terminal, JSON in a pipe or where it is asked for."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from shutil import get_terminal_size
from typing import Annotated

import typer

_GAP = 3
_NARROWEST = 24
"""Columns of text that a folded column has at least."""


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


@dataclass(frozen=True)
class Output:
    """How results are printed; chosen by where they go when it is not said."""

    format: Annotated[
        Format | None, typer.Option("--format", help="How to print results [table on a terminal, else json].")
    ] = None

    @property
    def as_json(self) -> bool:
        """Whether results are printed as JSON."""
        return self.format is Format.JSON if self.format else not sys.stdout.isatty()

    def json(self, value: object) -> None:
        """Print a value as JSON."""
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def done(self, sentence: str, **facts: object) -> None:
        """Print what was done."""
        if self.as_json:
            self.json(facts)
        else:
            sys.stdout.write(sentence + "\n")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
        """Print rows under their columns' names, or a sentence when there are none.

        On a terminal the last column is folded; one too narrow for the others gets each row's values below each other.
        """
        if not rows:
            sys.stdout.write(empty + "\n")
            return
        cells = [[_cell(each) for each in row] for row in rows]
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        room = get_terminal_size().columns if sys.stdout.isatty() else sum(widths) + len(widths) * _GAP
        if sum(widths[:-1]) + len(widths) * _GAP + min(widths[-1], _NARROWEST) > room:
            sys.stdout.write("\n".join(_record(columns, row) for row in cells))
        else:
            numbers = [isinstance(each, int | float) and not isinstance(each, bool) for each in rows[0]]
            sys.stdout.writelines(_table(columns, cells, numbers, room))


@cache
def warn(sentence: str) -> None:
    """Print a warning to standard error, each once."""
    sys.stderr.write(f"warning: {sentence}\n")


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on a terminal while bytes go through; yields what to call with (bytes so far, all bytes)."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415 - keeps help quick
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total or None)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[bool], width: int) -> Iterator[str]:
    from rich import box  # noqa: PLC0415 - keeps help quick
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, _GAP - 1, 0, 0))
    for name, number in zip(columns, numbers, strict=True):
        table.add_column(name, justify="right" if number else "left", overflow="fold", no_wrap=name != columns[-1])
    for row in rows:
        table.add_row(*row)
    console = Console(file=sys.stdout, width=width, highlight=False, markup=False)
    with console.capture() as captured:
        console.print(table)
    lines = (line.rstrip() for line in captured.get().splitlines())
    return (f"{line}\n" for line in lines if line)


def _record(columns: Sequence[str], row: Sequence[str]) -> str:
    width = max(map(len, columns))
    return "".join(f"{name:<{width}}  {cell}\n" for name, cell in zip(columns, row, strict=True))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
