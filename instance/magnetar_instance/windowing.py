"""What a function's windows are: Pulsar hides it in the user config, under the name of its own window executor."""

import json
from dataclasses import dataclass, replace
from typing import Any

from magnetar_instance.errors import BootError
from magnetar_instance.proto.function import FunctionDetails
from magnetar_instance.settings import InstanceSettings, WindowConfig

WINDOW_KEY = "__WINDOWCONFIGS__"


@dataclass(frozen=True)
class _Field:
    name: str
    attribute: str


_NUMBERS = (
    _Field("windowLengthCount", "length_count"),
    _Field("windowLengthDurationMs", "length_ms"),
    _Field("maxLagMs", "max_lag_ms"),
    _Field("watermarkEmitIntervalMs", "watermark_ms"),
)


def unwrapped(settings: InstanceSettings) -> InstanceSettings:
    """Return settings whose details are those of the function itself, with its windows apart. Raises BootError."""
    text = settings.details.userConfig
    if WINDOW_KEY not in text:
        return settings
    values = json.loads(text)
    given = values.pop(WINDOW_KEY, None)
    if not isinstance(given, dict):
        return settings
    details = FunctionDetails()
    details.CopyFrom(settings.details)
    details.className = given.get("actualWindowFunctionClassName") or details.className
    details.userConfig = json.dumps(values) if values else ""
    details.autoAck = True
    details.processingGuarantees = FunctionDetails(
        processingGuarantees=given.get("processingGuarantees") or "ATLEAST_ONCE"
    ).processingGuarantees
    return replace(settings, details=details, window=_window(given))


def _window(given: dict[str, Any]) -> WindowConfig:
    numbers = {field.attribute: given[field.name] for field in _NUMBERS if given.get(field.name) is not None}
    count, duration = given.get("slidingIntervalCount"), given.get("slidingIntervalDurationMs")
    # A sliding interval that is the length was filled in: the other one, where there is one, was given.
    if numbers.get("length_count") is not None and duration is not None:
        count = None
    elif count is not None:
        duration = None
    window = WindowConfig(
        **numbers,
        slide_count=count or (numbers.get("length_count") if duration is None else None),
        slide_ms=duration or (numbers.get("length_ms") if count is None else None),
        late_topic=given.get("lateDataTopic") or "",
        extractor=given.get("timestampExtractorClassName") or "",
    )
    if (window.length_count is None) == (window.length_ms is None):
        raise BootError("windowConfig needs either windowLengthCount or windowLengthDurationMs")
    return window
