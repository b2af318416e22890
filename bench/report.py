"""Figures and how they are shown."""

import os
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One measured thing: its samples in `unit`, and the goal that it is held against, in words."""

    what: str
    samples: tuple[float, ...]
    unit: str
    goal: str = ""

    @property
    def median(self) -> float:
        """The middle of the samples."""
        return statistics.median(self.samples)

    def percentile(self, share: float) -> float:
        """Return the sample below which a share of all lie."""
        ordered = sorted(self.samples)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]

    def to_json(self) -> dict[str, object]:
        """Return the figure with what is derived from its samples."""
        return {**asdict(self), "median": self.median, "p99": self.percentile(0.99)}


def machine() -> dict[str, object]:
    """Return what the figures were taken on."""
    return {
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": sys.version.split()[0],
        "load": round(os.getloadavg()[0], 1),
    }


def show(title: str, figures: Sequence[Figure]) -> None:
    """Print figures as a table."""
    table = Table("figure", "median", "min", "max", "unit", "goal", title=title, title_justify="left")
    for each in figures:
        low, high = min(each.samples), max(each.samples)
        table.add_row(each.what, f"{each.median:.3g}", f"{low:.3g}", f"{high:.3g}", each.unit, each.goal)
    Console().print(table)
