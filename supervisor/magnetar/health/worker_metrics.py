"""The worker's own figures, under Pulsar's names where Pulsar has one."""

from collections.abc import Iterable
from dataclasses import dataclass

from magnetar.health.exposition import label
from magnetar.lifecycle import Phase
from magnetar.supervision.base import InstanceView


@dataclass(frozen=True)
class WorkerFigures:
    """What is exposed of a worker; milliseconds where Pulsar has milliseconds.

    `functions` and `expected_instances` are exposed by the leader alone, as Pulsar does.
    """

    cluster: str
    start_up_ms: float
    is_leader: bool
    functions: int
    expected_instances: int
    abandoned_threads: int
    views: Iterable[InstanceView]


def worker_text(figures: WorkerFigures) -> str:
    """Return the worker's exposition."""
    views = list(figures.views)
    cluster = {"cluster": figures.cluster}
    prefix = "pulsar_function_worker"
    lines = [
        *_summary(f"{prefix}_start_up_time_ms", "How long the worker took to start.", cluster, figures.start_up_ms),
        *_family(
            f"{prefix}_instance_count", "gauge", "Instances that this worker supervises.", [(cluster, len(views))]
        ),
        *_family(f"{prefix}_is_leader", "gauge", "1 on the worker that leads.", [(cluster, int(figures.is_leader))]),
        *_family(
            "magnetar_abandoned_threads",
            "gauge",
            "Threads stuck in user code that were given up.",
            [({}, figures.abandoned_threads)],
        ),
        *_family(
            "magnetar_instance_phase",
            "gauge",
            "1 for the phase that an instance is in.",
            [(_phase_labels(view), 1) for view in views],
        ),
        *_family(
            "magnetar_instance_restarts_total",
            "counter",
            "Restarts after deaths.",
            [(_labels(view), view.restarts) for view in views],
        ),
        *_family(
            "magnetar_instance_up",
            "gauge",
            "1 while an instance is subscribed and well.",
            [(_labels(view), int(view.phase is Phase.RUNNING)) for view in views],
        ),
        *_family(
            "magnetar_instance_resident_bytes",
            "gauge",
            "Resident memory of an instance's process.",
            [(_labels(view), view.rss_bytes) for view in views if view.rss_bytes is not None],
        ),
    ]
    if figures.is_leader:
        lines += _family(
            f"{prefix}_total_function_count", "gauge", "Functions of the fleet.", [(cluster, figures.functions)]
        )
        lines += _family(
            f"{prefix}_total_expected_instance_count",
            "gauge",
            "Instances that the fleet should run.",
            [(cluster, figures.expected_instances)],
        )
    return "\n".join(lines) + "\n"


def _labels(view: InstanceView) -> dict[str, str]:
    return {"fqfn": view.fqfn, "instance_id": str(view.instance_id)}


def _phase_labels(view: InstanceView) -> dict[str, str]:
    return _labels(view) | {"phase": view.phase.value}


def _family(name: str, kind: str, text: str, samples: list[tuple[dict[str, str], float]]) -> list[str]:
    if not samples:
        return []
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        pairs = ",".join(label(key, content) for key, content in labels.items())
        lines.append(f"{name}{{{pairs}}} {value:g}" if pairs else f"{name} {value:g}")
    return lines


def _summary(name: str, text: str, labels: dict[str, str], value: float) -> list[str]:
    pairs = ",".join(label(key, content) for key, content in labels.items())
    return [
        f"# HELP {name} {text}",
        f"# TYPE {name} summary",
        f"{name}_count{{{pairs}}} 1",
        f"{name}_sum{{{pairs}}} {value:g}",
    ]
