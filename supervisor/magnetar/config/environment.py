"""Settings from environment variables: `PULSAR_workerPort`, `MAGNETAR_healthPort`, or `PF_workerPort` as in Pulsar's images.

Blocks and their keys are joined by `_`: `PULSAR_functionRuntimeFactoryConfigs_logDirectory`, `MAGNETAR_restart_maxDelay`.
Names are spelt as in the file: Kubernetes sets variables such as `PULSAR_WORKER_PORT=tcp://…` for services of its own.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from magnetar.config.errors import ConfigError
from magnetar.config.layers import Layer
from magnetar.config.runtime_keys import RUNTIME_CONFIGS, SETTINGS_KEY
from magnetar.config.text import Path
from magnetar.config.worker import WorkerConfig
from magnetar.model.nearest import nearest

_PULSAR, _IMAGE, _OWN = "PULSAR_", "PF_", "MAGNETAR_"
_PREFIXES = (_PULSAR, _IMAGE, _OWN)
_LIKE_A_KEY = re.compile(rf"(?:{'|'.join(_PREFIXES)})[a-z]\w*")
_OWN_BLOCK = "magnetar"


@dataclass(frozen=True)
class Variable:
    """A setting that a variable can give: its path in the file and what its text is read as."""

    path: Path
    field: FieldInfo


def variables() -> dict[str, Variable]:
    """Return every variable by name."""
    return {name: variable for variable in _variables() for name in _names(variable.path)}


def read_environment(environ: Mapping[str, str]) -> tuple[Layer, list[str]]:
    """Return the settings of an environment, and a warning for each variable that is nearly one.

    Raises ConfigError for a value that can't be read.
    """
    known = variables()
    values: dict[str, Any] = {}
    places: dict[Path, str] = {}
    problems: list[str] = []
    for name in sorted(environ.keys() & known.keys()):
        variable = known[name]
        try:
            _put(values, variable.path, _read(environ[name], variable.field))
        except yaml.YAMLError:
            problems.append(f"{name}: {environ[name]!r} can't be read; write it as in functions_worker.yml")
        places[variable.path] = name
    if problems:
        raise ConfigError(problems)
    strangers = [name for name in sorted(environ) if name not in known and _LIKE_A_KEY.fullmatch(name)]
    return Layer("environment", values, places), [_unknown(name, known) for name in strangers]


def _variables() -> Iterator[Variable]:
    own = WorkerConfig.model_fields[_OWN_BLOCK]
    for field in WorkerConfig.model_fields.values():
        if field.alias and field is not own and not field.exclude:
            yield Variable((field.alias,), field)
    seen: set[str] = set()
    for model in RUNTIME_CONFIGS.values():
        for variable in _of(model, (SETTINGS_KEY,)):
            if str(variable.path) not in seen:
                seen.add(str(variable.path))
                yield variable
    assert isinstance(own.annotation, type)
    yield from _of(own.annotation, (_OWN_BLOCK,))


def _of(model: type[BaseModel], path: Path) -> Iterator[Variable]:
    """Yield the fields of a model and those of the blocks in it."""
    for name, field in model.model_fields.items():
        here = (*path, field.alias or name)
        yield Variable(here, field)
        block = _block(field)
        if block:
            yield from _of(block, here)


def _block(field: FieldInfo) -> type[BaseModel] | None:
    options = get_args(field.annotation) or (field.annotation,)
    return next((each for each in options if isinstance(each, type) and issubclass(each, BaseModel)), None)


def _names(path: Path) -> tuple[str, ...]:
    if path[0] == _OWN_BLOCK:
        return (_OWN + "_".join(map(str, path[1:])),)
    joined = "_".join(map(str, path))
    return (_IMAGE + joined, _PULSAR + joined)


def _read(text: str, field: FieldInfo) -> Any:
    """Return the value of a text: as it is for texts and paths, a list with commas or in YAML, else YAML."""
    kinds = [get_origin(each) or each for each in (get_args(field.annotation) or (field.annotation,))]
    kinds += [get_origin(field.annotation)]
    if not text:
        return None
    words = {word for each in get_args(field.annotation) if get_origin(each) is Literal for word in get_args(each)}
    if text in words:
        return text
    if any(kind in (tuple, frozenset) for kind in kinds) and not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    if any(kind in (int, float, bool, dict, tuple, frozenset) or _is_model(kind) for kind in kinds):
        return yaml.safe_load(text)
    return text


def _is_model(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _put(values: dict[str, Any], path: Path, value: Any) -> None:
    for part in path[:-1]:
        below = values.setdefault(str(part), {})
        values = below if isinstance(below, dict) else {}
    values[str(path[-1])] = value


def _unknown(name: str, known: Mapping[str, Variable]) -> str:
    match = nearest(name, known)
    meant = f"; did you mean {match}?" if match else ""
    return f"{name}: no setting has this name{meant}"
