"""A function's figures as Pulsar's clients read them, made from what its instances tell."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from magnetar_instance.proto.control import MetricsData
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

_MINUTE = AliasChoices("1min", "oneMin", "one_min")


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    received_total: int = 0
    processed_successfully_total: int = 0
    system_exceptions_total: int = 0
    user_exceptions_total: int = 0
    avg_process_latency: float | None = None


class Minute(_Figures):
    """The figures of the minute that runs."""


class FunctionInstanceStatsData(_Figures):
    """The figures of one instance since its start; no call yet is null."""

    one_min: Minute = Field(default_factory=Minute, validation_alias=_MINUTE, serialization_alias="1min")
    last_invocation: int | None = None
    user_metrics: dict[str, float] = Field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that clients get; Go's client looks for the minute under another name."""
        return _with_minute(self.model_dump(mode="json", by_alias=True))


class FunctionInstanceStats(BaseModel):
    """One instance and its figures."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    instance_id: int
    metrics: FunctionInstanceStatsData


class FunctionStats(_Figures):
    """The figures of all instances together: sums, the mean latency, the last call."""

    one_min: Minute = Field(default_factory=Minute, validation_alias=_MINUTE, serialization_alias="1min")
    last_invocation: int | None = None
    instances: tuple[FunctionInstanceStats, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object that clients get."""
        figures = self.model_dump(mode="json", by_alias=True, exclude={"instances"})
        each = [{"instanceId": one.instance_id, "metrics": one.metrics.to_json()} for one in self.instances]
        return {**_with_minute(figures), "instances": each}


def instance_stats(data: MetricsData) -> FunctionInstanceStatsData:
    """Return the figures that an instance told."""
    return FunctionInstanceStatsData(
        received_total=data.receivedTotal,
        processed_successfully_total=data.processedSuccessfullyTotal,
        system_exceptions_total=data.systemExceptionsTotal,
        user_exceptions_total=data.userExceptionsTotal,
        avg_process_latency=_latency(data.avgProcessLatency),
        one_min=Minute(
            received_total=data.receivedTotal_1min,
            processed_successfully_total=data.processedSuccessfullyTotal_1min,
            system_exceptions_total=data.systemExceptionsTotal_1min,
            user_exceptions_total=data.userExceptionsTotal_1min,
            avg_process_latency=_latency(data.avgProcessLatency_1min),
        ),
        last_invocation=data.lastInvocation or None,
        user_metrics={name: value for name, value in data.userMetrics.items() if math.isfinite(value)},
    )


def add_up(instances: Iterable[tuple[int, FunctionInstanceStatsData]]) -> FunctionStats:
    """Return a function's figures from those of its instances."""
    found = [FunctionInstanceStats(instance_id=number, metrics=data) for number, data in instances]
    found.sort(key=lambda each: each.instance_id)
    figures = [each.metrics for each in found]
    calls = [each.last_invocation for each in figures if each.last_invocation is not None]
    return FunctionStats(
        **_sums(figures),
        one_min=Minute(**_sums([each.one_min for each in figures])),
        last_invocation=max(calls, default=None),
        instances=tuple(found),
    )


def _sums(figures: Sequence[_Figures]) -> dict[str, Any]:
    latencies = [each.avg_process_latency for each in figures if each.avg_process_latency is not None]
    names = ("received_total", "processed_successfully_total", "system_exceptions_total", "user_exceptions_total")
    return {
        **{name: sum(getattr(each, name) for each in figures) for name in names},
        "avg_process_latency": sum(latencies) / len(latencies) if latencies else None,
    }


def _latency(value: float) -> float | None:
    return value if value and math.isfinite(value) else None


def _with_minute(figures: dict[str, Any]) -> dict[str, Any]:
    return {**figures, "oneMin": figures["1min"]}
