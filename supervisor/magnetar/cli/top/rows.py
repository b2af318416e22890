"""What `magnetar top` shows of each instance: rates between two looks, trouble first. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from magnetar.client.results import InstanceReport, WorkerFunctionInstanceStats

COLUMNS = ("instance", "phase", "in/s", "done/s", "errors", "ms", "MiB", "restarts", "why")
_WELL = ("running", "stopped")


@dataclass(frozen=True)
class Look:
    """What a worker told at one moment; `at` is in seconds of a clock that only goes on."""

    at: float
    reports: Sequence[InstanceReport]
    stats: Mapping[str, WorkerFunctionInstanceStats]


def rows(before: Look | None, now: Look) -> list[tuple[object, ...]]:
    """Return the rows, those in trouble first, then by how much comes in."""
    found = [(_row(each, before, now), each.phase in _WELL) for each in now.reports]
    return [row for row, _ in sorted(found, key=lambda pair: (pair[1], -float(str(pair[0][2])), str(pair[0][0])))]


def _row(report: InstanceReport, before: Look | None, now: Look) -> tuple[object, ...]:
    name = f"{report.fqfn}:{report.instance_id}"
    figures = now.stats[name].metrics if name in now.stats else None
    last = before.stats[name].metrics if before and name in before.stats else None
    seconds = now.at - before.at if before else 0.0

    def rate(total: int, earlier: int) -> float:
        # A total that fell is that of an instance which started anew.
        return round(max(0, total - earlier) / seconds, 1) if last and seconds > 0 else 0.0

    return (
        name,
        report.phase,
        rate(figures.received_total, last.received_total) if figures and last else 0.0,
        rate(figures.processed_successfully_total, last.processed_successfully_total) if figures and last else 0.0,
        figures.user_exceptions_total + figures.system_exceptions_total if figures else 0,
        round(figures.avg_process_latency, 2) if figures and figures.avg_process_latency is not None else None,
        round(report.rss_bytes / 2**20, 1) if report.rss_bytes else None,
        report.restarts,
        report.reason.partition("\n")[0],
    )
