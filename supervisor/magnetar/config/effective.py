"""A config as rows: each setting, its value and where that comes from. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from magnetar.config.layers import DEFAULT, Layers
from magnetar.config.load import Effective
from magnetar.config.text import Path

HIDDEN = "***"
_SECRET = re.compile(r"secret|token|password|credential|authparams|privatekey", re.IGNORECASE)


@dataclass(frozen=True)
class Setting:
    """One setting; `key` is its path in the file with dots, a secret's value is hidden."""

    key: str
    value: Any
    origin: str

    @property
    def given(self) -> bool:
        """Whether some place gives it."""
        return self.origin != DEFAULT


def settings(effective: Effective) -> list[Setting]:
    """Return every setting, in the order of the models."""
    config = effective.config
    return [*_of(config, (), effective.layers)]


def _of(model: BaseModel, path: Path, layers: Layers) -> Iterator[Setting]:
    for name, field in type(model).model_fields.items():
        if field.exclude:
            continue
        here, value = (*path, field.alias or name), getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _of(value, here, layers)
        elif isinstance(value, Mapping) and value:
            yield from (_setting((*here, str(key)), each, layers, secret=False) for key, each in value.items())
        else:
            yield _setting(here, value, layers, secret=not field.repr)


def _setting(path: Path, value: Any, layers: Layers, *, secret: bool) -> Setting:
    hidden = value and (secret or (path[0] == "properties" and _SECRET.search(str(path[-1]))))
    return Setting(".".join(map(str, path)), HIDDEN if hidden else _plain(value), layers.origin(path))


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, str | int | float | bool | dict) else str(value)
