"""What instances of every language and version tell, in one form: milliseconds, one spelling, the instance's own number.

Java and Python tell times in milliseconds (older Python in seconds), Go in nanoseconds; Go's `instance_id` is a UUID; the
figures of the last minute have three spellings; Go calls its counters gauges. Pure.
"""

import math
import re

from magnetar_instance.proto.control import FunctionStatus, MetricsData

_MINUTE = re.compile(r"^(pulsar_(?:function|source|sink)_\w+?)(?:_total_1min_total|_total_1min)$")
_COUNTER = re.compile(r"^pulsar_(?:function|source|sink)_\w+?(?:_1min)?_total$")
_LAST_INVOCATION = re.compile(r"^pulsar_(?:function|source|sink)_last_invocation$")
_USER_METRIC = re.compile(r"^(pulsar_(?:function|source|sink)_user_metric)_?(|_sum|_count|_created)$")
_INSTANCE_ID = re.compile(r'((?:^|,)\s*instance_id=)"[^"]*"')
_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(.*)$")
_DECLARATION = re.compile(r"^# (HELP|TYPE) ([A-Za-z_:][\w:]*) ?(.*)$")


def milliseconds(time: float) -> int:
    """Return a time since 1970 in milliseconds, whatever its unit: one of this century has a range of its own in each."""
    if not math.isfinite(time) or time <= 0:
        return 0
    for above, factor in ((1e17, 1e-6), (1e14, 1e-3), (1e11, 1), (0, 1e3)):
        if time >= above:
            return int(time * factor)
    return 0


def normal_status(status: FunctionStatus, instance_id: int) -> FunctionStatus:
    """Return a copy of a status with its times in milliseconds and the number that its supervisor knows it by."""
    normal = FunctionStatus()
    normal.CopyFrom(status)
    normal.instanceId = str(instance_id)
    normal.lastInvocationTime = milliseconds(status.lastInvocationTime)
    for kind in ("User", "System", "Source", "Sink"):
        for each in getattr(normal, f"latest{kind}Exceptions"):
            each.msSinceEpoch = milliseconds(each.msSinceEpoch)
    return normal


def normal_metrics(data: MetricsData) -> MetricsData:
    """Return a copy of the figures with the time of the last call in milliseconds."""
    normal = MetricsData()
    normal.CopyFrom(data)
    normal.lastInvocation = milliseconds(data.lastInvocation)
    return normal


def normal_text(text: str, instance_id: int) -> str:
    """Return an instance's Prometheus text with the names and types that Pulsar 4.x has in Java and Python."""
    return "".join(f"{_normal_line(line, instance_id)}\n" for line in text.splitlines() if line.strip())


def _normal_line(line: str, instance_id: int) -> str:
    if declaration := _DECLARATION.match(line):
        kind, name, rest = declaration.groups()
        name = _name(name)
        return f"# {kind} {name} {'counter' if kind == 'TYPE' and _COUNTER.match(name) else rest}"
    sample = _SAMPLE.match(line)
    if sample is None or not sample.group(1).startswith("pulsar_"):
        return line
    name, labels, value, rest = sample.groups()
    name = _name(name)
    if _LAST_INVOCATION.match(name):
        value = str(milliseconds(float(value)))
    labels = _INSTANCE_ID.sub(rf'\1"{instance_id}"', labels or "")
    return f"{name}{{{labels}}} {value}{rest}"


def _name(name: str) -> str:
    if minute := _MINUTE.match(name):
        return f"{minute.group(1)}_1min_total"
    if user := _USER_METRIC.match(name):
        return f"{user.group(1)}{user.group(2)}"
    return name
