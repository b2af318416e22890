"""The Prometheus text of one instance, with Pulsar's names (4.x)."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from magnetar_instance.figures import LATENCY_BOUNDS_MS, Counts, Figures

_OURS = "magnetar_function_"
"""The prefix of what Pulsar's instances don't tell."""


def exposition(figures: Figures) -> bytes:
    """Return the text; an instance has a registry of its own, made when somebody asks."""
    registry = CollectorRegistry()
    registry.register(_FunctionCollector(figures))
    text: bytes = generate_latest(registry)
    return text


class _FunctionCollector(Collector):
    """Turns figures into families when somebody asks: the hot path counts plain numbers."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        settings, details = figures.settings, figures.settings.details
        self._labels = {
            "tenant": details.tenant,
            "namespace": f"{details.tenant}/{details.namespace}",
            "name": details.name,
            "instance_id": str(settings.instance_id),
            "cluster": settings.cluster,
            "fqfn": settings.fqfn,
        }

    def collect(self) -> Iterator[Metric]:
        figures = self._figures
        for counts, suffix in ((figures.total, ""), (figures.minute, "_1min")):
            yield self._counter(f"received{suffix}", "Messages received.", counts.received)
            yield self._counter(f"processed_successfully{suffix}", "Messages processed.", counts.processed)
            yield self._counter(f"user_exceptions{suffix}", "Exceptions of the function.", counts.user_exceptions)
            yield self._counter(f"system_exceptions{suffix}", "Failures around it.", counts.system_exceptions)
            yield self._summary(f"process_latency_ms{suffix}", "Latency in ms.", counts)
        yield self._latency_histogram()
        yield self._gauge(
            "last_invocation", "When the function was called last, in ms.", figures.last_invocation * 1000
        )
        dropped = figures.log_records_dropped
        yield self._counter("log_records_dropped", "Records that did not get to the log topic.", dropped, _OURS)
        yield from self._exceptions("user")
        yield from self._exceptions("system")
        yield from self._user_metrics()

    def _counter(self, name: str, text: str, value: float, prefix: str = "pulsar_function_") -> Metric:
        family = CounterMetricFamily(f"{prefix}{name}", text, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), value)
        return family

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(f"pulsar_function_{name}", text, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), value)
        return family

    def _summary(self, name: str, text: str, counts: Counts) -> Metric:
        family = SummaryMetricFamily(f"pulsar_function_{name}", text, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), counts.processed, counts.latency_sum)
        return family

    def _latency_histogram(self) -> Metric:
        family = HistogramMetricFamily(
            f"{_OURS}process_latency_seconds", "Latency of the function's calls.", labels=list(self._labels)
        )
        buckets, total = [], 0
        for bound, count in zip((*LATENCY_BOUNDS_MS, None), self._figures.latency_buckets, strict=True):
            total += count
            buckets.append(("+Inf" if bound is None else str(bound / 1000), total))
        family.add_metric(list(self._labels.values()), buckets, self._figures.total.latency_sum / 1000)
        return family

    def _exceptions(self, whose: str) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            f"pulsar_function_{whose}_exception", "Exceptions by class.", labels=[*self._labels, "error"]
        )
        for (owner, name), count in tuple(self._figures.exception_classes.items()):
            if owner == whose:
                family.add_metric([*self._labels.values(), name], count)
        if family.samples:
            yield family

    def _user_metrics(self) -> Iterator[Metric]:
        family = SummaryMetricFamily(
            "pulsar_function_user_metric", "Values that the function recorded.", labels=[*self._labels, "metric"]
        )
        for name, (value, count) in tuple(self._figures.user_metrics.items()):
            family.add_metric([*self._labels.values(), name], count, value)
        if family.samples:
            yield family
