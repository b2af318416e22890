from magnetar.cli.top.rows import COLUMNS, Look, rows
from magnetar.client.results import InstanceReport, WorkerFunctionInstanceStats
from magnetar.model.stats import FunctionInstanceStatsData


def report(name: str, phase: str = "running", reason: str = "") -> InstanceReport:
    return InstanceReport(
        fqfn=f"public/default/{name}", instance_id=0, worker="w", runtime="thread", phase=phase, reason=reason
    )


def look(at: float, received: dict[str, int], *reports: InstanceReport) -> Look:
    def stats(name: str, total: int) -> WorkerFunctionInstanceStats:
        metrics = FunctionInstanceStatsData(received_total=total, processed_successfully_total=total)
        return WorkerFunctionInstanceStats(name=name, metrics=metrics)

    names = {f"public/default/{name}:0": total for name, total in received.items()}
    return Look(at, reports, {name: stats(name, total) for name, total in names.items()})


def test_trouble_comes_first_then_what_has_most_to_do() -> None:
    """Rates are between two looks; the reason is one line."""
    reports = report("idle"), report("busy"), report("broken", "crash-looping", "it ended\nTraceback")
    found = rows(look(10, {"idle": 5, "busy": 100}, *reports), look(12, {"idle": 5, "busy": 300}, *reports))
    shown = [dict(zip(COLUMNS, row, strict=True)) for row in found]
    assert [each["instance"] for each in shown] == [f"public/default/{name}:0" for name in ("broken", "busy", "idle")]
    assert [(each["in/s"], each["done/s"]) for each in shown] == [(0.0, 0.0), (100.0, 100.0), (0.0, 0.0)]
    assert shown[0]["why"] == "it ended"


def test_an_instance_that_started_anew_has_no_negative_rate() -> None:
    """Its total begins at nothing again."""
    [row] = rows(look(10, {"f": 100}, report("f")), look(12, {"f": 4}, report("f")))
    assert row[2] == 0
