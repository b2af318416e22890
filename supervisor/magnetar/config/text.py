"""A YAML text as values, with the line of every key; duplicates and tabs are problems."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from magnetar.config.errors import ConfigError

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """A parsed file: its values, and the line of each key by its path."""

    name: str
    values: dict[str, Any]
    lines: dict[Path, int] = field(default_factory=dict)


def parse(text: str, name: str) -> Document:
    """Parse a YAML document whose top is a mapping; raises ConfigError with line numbers."""
    try:
        loader = yaml.SafeLoader(text)
        document = _load(loader, name)
        loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise ConfigError([_describe(error, text, name)]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError([f"{name}:{line}: {error.reason}; remove that character"]) from None
    return document


def _load(loader: yaml.SafeLoader, name: str) -> Document:
    node = loader.get_single_node()
    if node is None:
        return Document(name, {})
    lines: dict[Path, int] = {}
    if problems := list(_walk(node, (), lines, name)):
        raise ConfigError(problems)
    values = loader.construct_document(node)
    if not isinstance(values, dict):
        kind = type(values).__name__
        raise ConfigError([f"{name}:1: the file holds a {kind}; write `key: value` lines"])
    return Document(name, {str(key): value for key, value in values.items()}, lines)


def _walk(node: yaml.Node, path: Path, lines: dict[Path, int], name: str) -> Iterator[str]:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            yield from _walk(item, (*path, index), lines, name)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here, line = (*path, str(key.value)), key.start_mark.line + 1
            if here in lines and key.tag != "tag:yaml.org,2002:merge":
                yield f"{name}:{line}: {key.value!r} stands twice, first on line {lines[here]}; keep one"
                continue
            lines[here] = line
            yield from _walk(value, here, lines, name)


def _describe(error: yaml.MarkedYAMLError, text: str, name: str) -> str:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    texts = text.splitlines()
    written = texts[line - 1] if line <= len(texts) else ""
    indent = written[: len(written) - len(written.lstrip())]
    if "\t" in indent or "'\\t'" in str(error.problem):
        return f"{name}:{line}: a tab; YAML is indented with spaces, replace it"
    return f"{name}:{line}: not YAML: {error.problem or error.context}"
