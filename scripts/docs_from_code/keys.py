"""What the keys of functions_worker.yml are, as the code says."""

from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from magnetar.config.conformance import SETTINGS_TABLE, TABLE, Verdict
from magnetar.config.environment import Variable, variables
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

KEYS: dict[str, Variable] = {".".join(map(str, each.path)): each for each in variables().values()}
HONOURED = Verdict("honoured")


def verdict_of(key: str) -> Verdict:
    """Return what becomes of a key; the keys in a block share the block's."""
    top, *below = key.split(".")
    own = SETTINGS_TABLE.get(below[0]) if below else None
    return own or TABLE.get(top, HONOURED)


def default_of(key: str) -> Any:
    """Return a key's default as the file writes it, None where there is none."""
    field = KEYS[key].field
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined or isinstance(value, BaseModel) or value in ("", {}, (), frozenset()):
        return None
    return sorted(value) if isinstance(value, frozenset) else list(value) if isinstance(value, tuple) else value


def kind_of(field: FieldInfo) -> str:
    """Return a word for what a key holds."""
    options = [each for each in (get_args(field.annotation) or (field.annotation,)) if each is not type(None)]
    kinds = [get_origin(each) or each for each in [*options, get_origin(field.annotation)]]
    if any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds) or dict in kinds:
        return "block"
    if tuple in kinds or frozenset in kinds:
        return "list"
    for kind, word in ((bool, "true or false"), (float, "number"), (int, "whole number")):
        if any(each is kind or _within(each, kind) for each in options):
            return word
    return "text"


def _within(annotation: Any, kind: type) -> bool:
    return kind in get_args(annotation)


def yaml_of(value: Any) -> str:
    """Return a value as one line of YAML."""
    plain = str(value) if isinstance(value, Path) else value
    return yaml.safe_dump(plain, default_flow_style=True, width=1000).removesuffix("...\n").strip()
