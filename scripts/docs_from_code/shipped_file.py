"""conf/functions_worker.yml: every key, each with one line about it."""

from collections.abc import Iterator
from typing import Any

from magnetar.config.descriptions import SECTIONS, SETTINGS
from magnetar.config.runtime_keys import ProcessRuntimeConfig

from docs_from_code.keys import KEYS, default_of, verdict_of, yaml_of

OWN = "magnetar"


def functions_worker() -> Iterator[str]:
    """Yield the lines of conf/functions_worker.yml: every key, each with one line about it."""
    yield "# Settings of a functions worker: Pulsar's own keys, and Magnetar's in one block. Written by scripts/docs."
    yield "#"
    yield "# What is commented out has its default, or stands at the end because it has no effect here or is refused."
    yield "# `magnetar config lint -c FILE` judges a file, `magnetar config show --effective -c FILE` prints what holds."
    later: list[str] = []
    for title, keys in SECTIONS.items():
        taken = [key for key in keys if verdict_of(key.partition(".")[0]).kind == "honoured"]
        later += [key for key in keys if verdict_of(key.partition(".")[0]).kind != "honoured"]
        if taken and not title.endswith(f"({SETTINGS})"):
            yield from ("", f"#### {title} ####")
            if title.endswith(f"({OWN})"):
                yield f"{OWN}:"
            for key in taken:
                yield from _entry(key, keys[key])
                if key == SETTINGS:
                    yield from _runtime_settings()
    abouts = {key: about for keys in SECTIONS.values() for key, about in keys.items()}
    yield from ("", "#### Keys of Pulsar's that have no effect here, or are refused when they ask for something ####")
    for key in later:
        yield from _entry(key, f"{abouts[key]} {_why(key)}")


def _runtime_settings() -> Iterator[str]:
    for title, keys in SECTIONS.items():
        if title.endswith(f"({SETTINGS})"):
            yield f"  # {title.removesuffix(f' ({SETTINGS})')}:"
            for key, about in keys.items():
                yield from _entry(key, about)


def _entry(key: str, about: str) -> Iterator[str]:
    depth = key.count(".")
    indent, name = "  " * depth, key.rpartition(".")[2]
    value = default_of(key)
    is_parent = any(other.startswith(f"{key}.") for other in KEYS)
    line = f"{name}:" if is_parent or value is None else f"{name}: {yaml_of(value)}"
    active = verdict_of(key).kind == "honoured" and _is_active(key, value, is_parent=is_parent)
    yield f"{indent}# {about}"
    yield f"{indent}{line}" if active else f"{indent}#{line}"


def _is_active(key: str, value: Any, *, is_parent: bool) -> bool:
    parents = [key[:at] for at, sign in enumerate(key) if sign == "."]
    if any(KEYS[each].field.default is None for each in parents if each in KEYS):
        return False
    if key.startswith(f"{SETTINGS}.") and key.rpartition(".")[2] not in ProcessRuntimeConfig.aliases().values():
        return False
    return value is not None or (is_parent and KEYS[key].field.default is not None)


def _why(key: str) -> str:
    verdict = verdict_of(key)
    return f"({'No effect' if verdict.kind == 'meaningless' else 'Refused'}: {verdict.why}.)"
