"""What a command prints: tables on a terminal, JSON in a pipe or where it is asked for."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Annotated

import typer

_ANY_WIDTH = 10_000


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
        """Print rows under their columns' names, or a sentence when there are none."""
        if not rows:
            sys.stdout.write(empty + "\n")
            return
        from rich import box  # noqa: PLC0415 - keeps help quick
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0))
        for name, first in zip(columns, rows[0], strict=True):
            number = isinstance(first, int | float) and not isinstance(first, bool)
            table.add_column(name, justify="right" if number else "left", no_wrap=name != columns[-1], overflow="fold")
        for row in rows:
            table.add_row(*(_cell(each) for each in row))
        console = Console(file=sys.stdout, highlight=False, markup=False)
        if not console.is_terminal:
            console.width = Console(width=_ANY_WIDTH).measure(table).maximum
        with console.capture() as captured:
            console.print(table)
        lines = (line.rstrip() for line in captured.get().splitlines())
        sys.stdout.writelines(f"{line}\n" for line in lines if line)


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


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
