"""Many Prometheus texts as one valid exposition: each family declared once, no series twice. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_SUFFIXES = ("_sum", "_count", "_bucket", "_created", "_total", "_info")


@dataclass
class _Family:
    headers: list[str] = field(default_factory=list)
    samples: dict[str, str] = field(default_factory=dict)


def merge(texts: Iterable[tuple[Mapping[str, str], str]]) -> str:
    """Merge texts of the format 0.0.4; each comes with labels that its samples get where they lack them.

    Comments other than HELP and TYPE are dropped, and so is a repeated series: the first one stands.
    """
    families: dict[str, _Family] = {}
    for labels, text in texts:
        _add(families, labels, text)
    lines = (line for family in families.values() for line in (*family.headers, *family.samples.values()))
    return "".join(f"{line}\n" for line in lines)


def label(key: str, value: str) -> str:
    """Return one label with its value quoted."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'{key}="{escaped}"'


def _add(families: dict[str, _Family], labels: Mapping[str, str], text: str) -> None:
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("#"):
            _add_header(families, line)
        elif line:
            _add_sample(families, labels, line)


def _add_header(families: dict[str, _Family], line: str) -> None:
    words = line.split(None, 3)
    if len(words) < 3 or words[1] not in {"HELP", "TYPE"}:
        return
    family = families.setdefault(words[2], _Family())
    if not any(header.split(None, 3)[1] == words[1] for header in family.headers):
        family.headers.append(line)


def _add_sample(families: dict[str, _Family], labels: Mapping[str, str], line: str) -> None:
    name, present, rest = _split(line)
    pairs = [present] if present else []
    pairs += [label(key, value) for key, value in labels.items() if not re.search(rf'(?:^|,)\s*{key}="', present)]
    series = f"{name}{{{','.join(pairs)}}}" if pairs else name
    _family_of(families, name).samples.setdefault(series, f"{series} {rest}")


def _split(line: str) -> tuple[str, str, str]:
    """Split a sample into its name, its labels as text, and the rest; a quoted value may hold any character."""
    opening = line.find("{")
    space = line.find(" ")
    if opening < 0 or 0 <= space < opening:
        name, _, rest = line.partition(" ")
        return name, "", rest.strip()
    at, quoted = opening + 1, False
    while at < len(line) and (quoted or line[at] != "}"):
        if quoted and line[at] == "\\":
            at += 1
        elif line[at] == '"':
            quoted = not quoted
        at += 1
    return line[:opening], line[opening + 1 : at].rstrip(","), line[at + 1 :].strip()


def _family_of(families: dict[str, _Family], name: str) -> _Family:
    if name in families:
        return families[name]
    for suffix in _SUFFIXES:
        stem = name.removesuffix(suffix)
        if stem != name and stem in families:
            return families[stem]
    return families.setdefault(name, _Family())
