"""What an instance counts, and its forms: Pulsar's status, Pulsar's metrics, Prometheus. Status never waits on user code."""

import threading
import time
import traceback
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from magnetar_instance.proto.control import FunctionStatus, MetricsData
from magnetar_instance.settings import InstanceSettings

_WINDOW = 60.0
_KEPT_EXCEPTIONS = 10
LATENCY_BOUNDS_MS = (0.1, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000)
_MOST_METRICS = 1000
"""Metrics of the function's own that are told apart; values of those that come after them are recorded as `other`."""
_MOST_CLASSES = 50
"""Exception classes that are told apart; whatever comes after them is counted as `other`."""


class Counts(NamedTuple):
    """Counters since the start, or of one minute; latency in milliseconds, of messages that the function took."""

    received: int = 0
    processed: int = 0
    user_exceptions: int = 0
    system_exceptions: int = 0
    latency_sum: float = 0.0

    def since(self, earlier: "Counts") -> "Counts":
        """Return what was counted since an earlier moment."""
        return Counts(
            self.received - earlier.received,
            self.processed - earlier.processed,
            self.user_exceptions - earlier.user_exceptions,
            self.system_exceptions - earlier.system_exceptions,
            self.latency_sum - earlier.latency_sum,
        )

    @property
    def average_latency(self) -> float:
        """The mean latency, 0 without any."""
        return self.latency_sum / self.processed if self.processed else 0.0


@dataclass(frozen=True)
class KeptException:
    """The text of an exception and when it was, in milliseconds since the epoch."""

    text: str
    time_ms: int


class Figures:
    """The figures of one instance: plain numbers, written by its thread and read by any."""

    def __init__(self, settings: InstanceSettings) -> None:
        self.settings = settings
        self.received = 0
        self.last_invocation = 0.0
        """Seconds since the epoch."""
        self.user_exceptions: deque[KeptException] = deque(maxlen=_KEPT_EXCEPTIONS)
        self.system_exceptions: deque[KeptException] = deque(maxlen=_KEPT_EXCEPTIONS)
        self.exception_classes: dict[tuple[str, str], int] = {}
        self.user_metrics: dict[str, tuple[float, int]] = {}
        self.latency_buckets = [0] * (len(LATENCY_BOUNDS_MS) + 1)
        self.log_records_dropped = 0
        self._processed = 0
        self._latency_sum = 0.0
        self._user_failures = 0
        self._system_failures = 0
        self._minute_began = time.monotonic()
        self._before_minute = Counts()
        self._lock = threading.Lock()

    def processed(self, seconds: float) -> None:
        """Count a message that the function took, and how long it did."""
        milliseconds = seconds * 1000
        self._processed += 1
        self._latency_sum += milliseconds
        self.latency_buckets[bisect_left(LATENCY_BOUNDS_MS, milliseconds)] += 1

    def user_failed(self, error: BaseException) -> None:
        """Count an exception of the function."""
        with self._lock:
            # Kept before it is counted: who reads the count, without the lock, finds what was counted.
            self.user_exceptions.append(_kept("".join(traceback.format_exception(error))))
            self._user_failures += 1
            self._count_class("user", type(error).__name__)

    def system_failed(self, text: str, kind: str, count: int = 1) -> None:
        """Count failures around the function: reading, serializing, sending; `kind` is a class or an answer's name."""
        with self._lock:
            self.system_exceptions.append(_kept(text))
            self._system_failures += count
            self._count_class("system", kind, count)

    def _count_class(self, whose: str, name: str, count: int = 1) -> None:
        key = (whose, name)
        if key not in self.exception_classes and len(self.exception_classes) >= _MOST_CLASSES:
            key = (whose, "other")
        self.exception_classes[key] = self.exception_classes.get(key, 0) + count

    def log_dropped(self, count: int) -> None:
        """Count records that did not get to the log topic."""
        with self._lock:
            self.log_records_dropped += count

    def record(self, name: str, value: float) -> None:
        """Record a value of a function's own metric."""
        with self._lock:
            if name not in self.user_metrics and len(self.user_metrics) >= _MOST_METRICS:
                name = "other"
            total, count = self.user_metrics.get(name, (0.0, 0))
            self.user_metrics[name] = (total + value, count + 1)

    @property
    def total(self) -> Counts:
        """What was counted since the start."""
        return Counts(self.received, self._processed, self._user_failures, self._system_failures, self._latency_sum)

    @property
    def minute(self) -> Counts:
        """What was counted in the current minute."""
        self.turn_minute()
        return self.total.since(self._before_minute)

    def turn_minute(self) -> None:
        """Begin a new minute when the old one is over; called before anything is counted."""
        now = time.monotonic()
        if now - self._minute_began >= _WINDOW:
            self._minute_began = now
            self._before_minute = self.total

    def reset(self) -> None:
        """Reset what a reset touches in Pulsar: the minute and the function's own metrics, never totals."""
        self._before_minute = self.total
        self.user_metrics = {}

    # Forms.

    def status(self) -> FunctionStatus:
        """Return Pulsar's status."""
        total = self.total
        status = FunctionStatus(
            running=True,
            numReceived=total.received,
            numSuccessfullyProcessed=total.processed,
            numUserExceptions=total.user_exceptions,
            numSystemExceptions=total.system_exceptions,
            averageLatency=total.average_latency,
            lastInvocationTime=int(self.last_invocation * 1000),
            instanceId=str(self.settings.instance_id),
        )
        for kept in tuple(self.user_exceptions):
            status.latestUserExceptions.add(exceptionString=kept.text, msSinceEpoch=kept.time_ms)
        for kept in tuple(self.system_exceptions):
            status.latestSystemExceptions.add(exceptionString=kept.text, msSinceEpoch=kept.time_ms)
        return status

    def metrics(self) -> MetricsData:
        """Return Pulsar's metrics."""
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
            lastInvocation=int(self.last_invocation * 1000),
        )
        for name, (value, count) in tuple(self.user_metrics.items()):
            data.userMetrics[f"user_metric_{name}_sum"] = value
            data.userMetrics[f"user_metric_{name}_count"] = count
        return data


def _kept(text: str) -> KeptException:
    return KeptException(text, int(time.time() * 1000))
