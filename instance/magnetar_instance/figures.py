"""What an instance counts, and its forms: Pulsar's status, Pulsar's metrics, Prometheus. Status never waits on user code."""

import time
import traceback
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from magnetar_instance.proto.control import FunctionStatus, MetricsData
from magnetar_instance.settings import InstanceSettings

_WINDOW = 60.0
_KEPT_EXCEPTIONS = 10


@dataclass
class Counts:
    """Counters of the whole life or of one minute; latency in milliseconds."""

    received: int = 0
    processed: int = 0
    user_exceptions: int = 0
    system_exceptions: int = 0
    latency_sum: float = 0.0
    latency_count: int = 0

    @property
    def average_latency(self) -> float:
        """The mean latency in milliseconds, 0 without any."""
        return self.latency_sum / self.latency_count if self.latency_count else 0.0


@dataclass(frozen=True)
class KeptException:
    """The text of an exception and when it was, in milliseconds since the epoch."""

    text: str
    time_ms: int


@dataclass
class Figures:
    """The figures of one instance, written by its own thread and by the client's callbacks."""

    settings: InstanceSettings
    total: Counts = field(default_factory=Counts)
    minute: Counts = field(default_factory=Counts)
    last_invocation_ms: int = 0
    user_exceptions: deque[KeptException] = field(default_factory=lambda: deque(maxlen=_KEPT_EXCEPTIONS))
    system_exceptions: deque[KeptException] = field(default_factory=lambda: deque(maxlen=_KEPT_EXCEPTIONS))
    user_metrics: dict[str, tuple[float, int]] = field(default_factory=dict)
    _minute_began: float = field(default_factory=time.monotonic)

    def batch_received(self, count: int) -> None:
        """Count messages that came."""
        self._turn_minute()
        self.total.received += count
        self.minute.received += count

    def processed(self, milliseconds: float) -> None:
        """Count a message that the function took, and how long it did."""
        for counts in (self.total, self.minute):
            counts.processed += 1
            counts.latency_sum += milliseconds
            counts.latency_count += 1

    def user_failed(self, error: BaseException) -> None:
        """Count an exception of the function."""
        for counts in (self.total, self.minute):
            counts.user_exceptions += 1
        self.user_exceptions.append(_kept("".join(traceback.format_exception(error))))

    def system_failed(self, text: str) -> None:
        """Count a failure around the function: serializing, sending, acknowledging."""
        for counts in (self.total, self.minute):
            counts.system_exceptions += 1
        self.system_exceptions.append(_kept(text))

    def record(self, name: str, value: float) -> None:
        """Record a value of a function's own metric."""
        total, count = self.user_metrics.get(name, (0.0, 0))
        self.user_metrics[name] = (total + value, count + 1)

    def _turn_minute(self) -> None:
        now = time.monotonic()
        if now - self._minute_began >= _WINDOW:
            self.minute = Counts()
            self._minute_began = now

    def reset(self) -> None:
        """Reset what a reset touches in Pulsar: the minute and the function's own metrics, never totals."""
        self.minute = Counts()
        self.user_metrics = {}

    # Forms.

    def status(self) -> FunctionStatus:
        """Return Pulsar's status."""
        status = FunctionStatus(
            running=True,
            numReceived=self.total.received,
            numSuccessfullyProcessed=self.total.processed,
            numUserExceptions=self.total.user_exceptions,
            numSystemExceptions=self.total.system_exceptions,
            averageLatency=self.total.average_latency,
            lastInvocationTime=self.last_invocation_ms,
            instanceId=str(self.settings.instance_id),
        )
        for kept in tuple(self.user_exceptions):
            status.latestUserExceptions.add(exceptionString=kept.text, msSinceEpoch=kept.time_ms)
        for kept in tuple(self.system_exceptions):
            status.latestSystemExceptions.add(exceptionString=kept.text, msSinceEpoch=kept.time_ms)
        return status

    def metrics(self) -> MetricsData:
        """Return Pulsar's metrics."""
        self._turn_minute()
        total, minute = self.total, self.minute
        data = MetricsData(
            receivedTotal=total.received,
            receivedTotal_1min=minute.received,
            processedSuccessfullyTotal=total.processed,
            processedSuccessfullyTotal_1min=minute.processed,
            systemExceptionsTotal=total.system_exceptions,
            systemExceptionsTotal_1min=minute.system_exceptions,
            userExceptionsTotal=total.user_exceptions,
            userExceptionsTotal_1min=minute.user_exceptions,
            avgProcessLatency=total.average_latency,
            avgProcessLatency_1min=minute.average_latency,
            lastInvocation=self.last_invocation_ms,
        )
        for name, (value, count) in tuple(self.user_metrics.items()):
            data.userMetrics[f"user_metric_{name}_sum"] = value
            data.userMetrics[f"user_metric_{name}_count"] = count
        return data

    def exposition(self) -> bytes:
        """Return the Prometheus text, with Pulsar's names (4.x)."""
        registry = CollectorRegistry()
        registry.register(_FunctionCollector(self))
        text: bytes = generate_latest(registry)
        return text


def _kept(text: str) -> KeptException:
    return KeptException(text, int(time.time() * 1000))


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
        yield self._gauge("last_invocation", "When the function was called last, in ms.", figures.last_invocation_ms)
        yield from self._exceptions("user_exception", figures.user_exceptions)
        yield from self._exceptions("system_exception", figures.system_exceptions)
        yield from self._user_metrics()

    def _counter(self, name: str, text: str, value: float) -> Metric:
        family = CounterMetricFamily(f"pulsar_function_{name}", text, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), value)
        return family

    def _gauge(self, name: str, text: str, value: float) -> Metric:
        family = GaugeMetricFamily(f"pulsar_function_{name}", text, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), value)
        return family

    def _summary(self, name: str, text: str, counts: Counts) -> Metric:
        family = SummaryMetricFamily(f"pulsar_function_{name}", text, labels=list(self._labels))
        family.add_metric(list(self._labels.values()), counts.latency_count, counts.latency_sum)
        return family

    def _exceptions(self, name: str, kept: deque[KeptException]) -> Iterator[Metric]:
        family = GaugeMetricFamily(f"pulsar_function_{name}", "Recent exceptions.", labels=[*self._labels, "error"])
        for text in {each.text for each in tuple(kept)}:
            family.add_metric([*self._labels.values(), text[-500:]], 1.0)
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
