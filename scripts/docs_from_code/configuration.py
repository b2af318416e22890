"""docs/configuration.md: a table of every key."""

from collections.abc import Iterator
from pathlib import Path

from magnetar.config.conformance import OFF
from magnetar.config.descriptions import SECTIONS, SETTINGS

from docs_from_code.keys import KEYS, default_of, kind_of, verdict_of, yaml_of

_HEAD = Path(__file__).with_suffix(".md")


def configuration() -> Iterator[str]:
    """Yield the lines of docs/configuration.md."""
    yield from _HEAD.read_text().splitlines()
    for title, keys in SECTIONS.items():
        yield from (
            "",
            f"## {title}",
            "",
            "| key | kind | default | here | meaning |",
            "| --- | --- | --- | --- | --- |",
        )
        for key, about in keys.items():
            value = default_of(key)
            default = "" if value is None else f"`{yaml_of(value)}`"
            name = key.removeprefix(f"{SETTINGS}.").removeprefix("magnetar.")
            cells = (f"`{name}`", kind_of(KEYS[key].field), default, _verdict(key), about)
            yield "| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |"


def _verdict(key: str) -> str:
    verdict = verdict_of(key)
    if verdict.kind == "honoured":
        return "honoured"
    if verdict.kind == "meaningless":
        return f"no effect: {verdict.why}"
    accepted = ", ".join(f"`{value}`" for value in verdict.neutral if value not in OFF)
    return f"refused: {verdict.why}" + (f" (accepted: {accepted})" if accepted else "")
