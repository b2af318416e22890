"""Prometheus' text (0.0.4) as OpenMetrics (1.0), for who asks for that. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_OPENMETRICS = "application/openmetrics-text"
_LABELS = r'(?:\{(?P<labels>(?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?'
_SAMPLE = re.compile(rf"(?P<name>[^\s{{]+){_LABELS}\s*(?P<value>\S+)(?:\s+(?P<ms>-?\d+))?")
_BOUND = re.compile(r'((?:^|,)\s*(?:le|quantile)=")([^"]*)"')
_PARTS = {"counter": {"_total"}, "summary": {"", "_sum", "_count"}, "histogram": {"_bucket", "_sum", "_count"}}
"""What the names of a family's samples end with, after the family's own; of all other types, with nothing."""


@dataclass
class _Family:
    name: str
    kind: str = "unknown"
    help: str = ""
    samples: list[tuple[str, str]] = field(default_factory=list)
    """Name and line of each."""


def prefers_openmetrics(accept: str) -> bool:
    """Tell whether the header `Accept` asks for OpenMetrics rather than for Prometheus' text, which is the default."""
    asked = {kind.partition(";")[0].strip().lower(): _quality(kind) for kind in accept.split(",")}
    return asked.get(_OPENMETRICS, 0) > asked.get("text/plain", 0)


def negotiated(text: str, accept: str) -> tuple[str, str]:
    """Return an exposition in the format that `Accept` asks for, and its content type."""
    return (as_openmetrics(text), OPENMETRICS_TYPE) if prefers_openmetrics(accept) else (text, PROMETHEUS_TYPE)


def as_openmetrics(text: str) -> str:
    """Return a text of the format 0.0.4 as OpenMetrics: the same samples.

    What OpenMetrics has no room for changes its type or goes: a counter whose samples don't end with `_total` is told as of
    unknown type, and `_created`, which the older format has as families of their own, is left out.
    """
    families = _families(text)
    names = {family.name for family in families}
    made = (line for family in families if not _is_creation(family, names) for line in _lines(family))
    return "".join(f"{line}\n" for line in (*made, "# EOF"))


def _quality(kind: str) -> float:
    found = re.search(r";\s*q=([0-9.]+)", kind)
    try:
        return float(found[1]) if found else 1.0
    except ValueError:
        return 0.0


def _families(text: str) -> list[_Family]:
    families: dict[str, _Family] = {}
    for line in text.splitlines():
        words = line.split(None, 3)
        if line.startswith("#"):
            if len(words) > 2 and words[1] in {"HELP", "TYPE"}:
                _note(families.setdefault(words[2], _Family(words[2])), words[1], "".join(words[3:]))
        elif (found := _SAMPLE.match(line)) is not None:
            _owner(families, found["name"]).samples.append((found["name"], _sample(found)))
    return list(families.values())


def _note(family: _Family, what: str, text: str) -> None:
    if what == "HELP":
        family.help = text.replace('"', '\\"')
    elif text in {"counter", "gauge", "summary", "histogram"}:
        family.kind = text


def _owner(families: dict[str, _Family], name: str) -> _Family:
    for suffix in ("", "_sum", "_count", "_bucket"):
        family = families.get(name.removesuffix(suffix)) if name.endswith(suffix) else None
        if family is not None and (not suffix or suffix in _PARTS.get(family.kind, ())):
            return family
    return families.setdefault(name, _Family(name))


def _sample(found: re.Match[str]) -> str:
    """Return a sample's line: bounds as the numbers that they are, a time in seconds."""
    labels = _BOUND.sub(lambda bound: f'{bound[1]}{_canonical(bound[2])}"', found["labels"] or "").rstrip(",")
    time = f" {int(found['ms']) / 1000}" if found["ms"] else ""
    return f"{found['name']}{f'{{{labels}}}' if labels else ''} {found['value']}{time}"


def _canonical(bound: str) -> str:
    try:
        return bound if bound.endswith("Inf") else str(float(bound))
    except ValueError:
        return bound


def _lines(family: _Family) -> Iterator[str]:
    name, kind = family.name.removesuffix("_total") if family.kind == "counter" else family.name, family.kind
    fits = {f"{name}{suffix}" for suffix in _PARTS.get(kind, {""})}
    if any(sample not in fits for sample, _ in family.samples):
        name, kind = family.name, "unknown"
    if family.help:
        yield f"# HELP {name} {family.help}"
    yield f"# TYPE {name} {kind}"
    yield from (line for _, line in family.samples)


def _is_creation(family: _Family, names: set[str]) -> bool:
    stem = family.name.removesuffix("_created")
    return stem != family.name and not names.isdisjoint({stem, f"{stem}_total"})
