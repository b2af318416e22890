"""From a file, the environment and overrides to a WorkerConfig, with every problem told at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from magnetar.config.conformance import SETTINGS_TABLE, judge
from magnetar.config.environment import read_environment
from magnetar.config.errors import ConfigError
from magnetar.config.layers import Layer, Layers
from magnetar.config.magnetar import (
    EmbeddedBrokerConfig,
    LimitsConfig,
    LogsConfig,
    MagnetarConfig,
    RestartConfig,
    UsersConfig,
)
from magnetar.config.runtime_keys import OLDER_CONTAINERS, RUNTIME_CONFIGS, SETTINGS_KEY, MemoryLimit
from magnetar.config.text import Document, parse
from magnetar.config.worker import NOT_KEYS, WorkerConfig
from magnetar.model.kubernetes_options import Autoscaler, DisruptionBudget, KubernetesOptions
from magnetar.model.nearest import unknown_key

if TYPE_CHECKING:
    from magnetar.config.base import Keys

_DEFAULTS, _OVERRIDES = "this command's default", "command line"
_OWN_BLOCKS: dict[str | int, type[BaseModel]] = {
    "magnetar": MagnetarConfig,
    "restart": RestartConfig,
    "limits": LimitsConfig,
    "logs": LogsConfig,
    "users": UsersConfig,
    "embeddedBroker": EmbeddedBrokerConfig,
    "kubernetes": KubernetesOptions,
    "podDisruptionBudget": DisruptionBudget,
    "autoscaler": Autoscaler,
}


@dataclass(frozen=True)
class Effective:
    """A config and the places that its values come from."""

    config: WorkerConfig
    layers: Layers


def load_config(
    path: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> WorkerConfig:
    """Read a `functions_worker.yml` (None: all defaults), put overrides over it and defaults below; in either spelling.

    Variables of `environ` stand over the file and below the overrides; nothing is read from the process's own environment.
    Raises ConfigError with every problem; what is accepted without effect is in the result's `warnings`.
    """
    return load_effective(path, overrides, defaults, environ).config


def load_effective(
    path: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    defaults: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Effective:
    """Do as `load_config`, and keep where each value comes from."""
    variables, warnings = read_environment(environ or {})
    layers = Layers(
        (
            Layer(_DEFAULTS, _spelt(defaults or {}, WorkerConfig)),
            Layer.of_document(_read(path) if path else Document("", {})),
            variables,
            Layer(_OVERRIDES, _spelt(overrides or {}, WorkerConfig)),
        )
    )
    verdicts = judge(layers.values)
    problems = [layers.at((key,)) + sentence for key, sentence in verdicts.refused]
    warnings += [layers.at((key,)) + sentence for key, sentence in verdicts.meaningless if _says(layers, key)]
    warnings += [*_settings_without_effect(layers), *_unknown(layers)]
    config = _validate(layers, problems)
    if config is None or problems:
        raise ConfigError(problems)
    return Effective(config.model_copy(update={"warnings": tuple(warnings)}), layers)


def _read(path: Path) -> Document:
    try:
        return parse(path.read_text(encoding="utf-8"), path.name)
    except FileNotFoundError:
        raise ConfigError([f"{path}: no such file; give the path of a functions_worker.yml"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: can't be read: {error.strerror}"]) from None


def _spelt(values: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Turn snake_case names, blocks of our own included, into the file's spelling."""
    aliases = {name: field.alias or name for name, field in model.model_fields.items()}
    spelt = {}
    for key, value in values.items():
        block = _OWN_BLOCKS.get(aliases.get(key, key))
        spelt[aliases.get(key, key)] = _spelt(value, block) if block and isinstance(value, Mapping) else value
    return spelt


def _validate(layers: Layers, problems: list[str]) -> WorkerConfig | None:
    """Return the config or add to `problems`; runtime settings are looked at even if the rest is wrong."""
    for key, block in _settings_blocks(layers):
        for model in RUNTIME_CONFIGS.values():
            try:
                model.model_validate(block)
            except ValidationError as error:
                problems += [each for each in _sentences(error, layers, (key,)) if each not in problems]
    try:
        return WorkerConfig.model_validate(layers.values)
    except ValidationError as error:
        problems += _sentences(error, layers, ())
        return None


def _settings_blocks(layers: Layers) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key in (SETTINGS_KEY, *OLDER_CONTAINERS):
        if isinstance(block := layers.values.get(key), Mapping):
            yield key, block


def _settings_without_effect(layers: Layers) -> Iterator[str]:
    for key, block in _settings_blocks(layers):
        for name, verdict in SETTINGS_TABLE.items():
            if block.get(name) is not None:
                yield f"{layers.at((key, name))}{key}.{name} has no effect: {verdict.why}"


def _sentences(error: ValidationError, layers: Layers, prefix: tuple[str, ...]) -> list[str]:
    found = []
    for each in error.errors(include_url=False, include_context=False):
        path = (*prefix, *each["loc"])
        if each["type"] == "extra_forbidden":
            known = [field.alias or name for name, field in _OWN_BLOCKS[path[-2]].model_fields.items()]
            found.append(unknown_key(f"{layers.at(path)}{'.'.join(map(str, path[:-1]))}: ", str(path[-1]), known))
            continue
        what = each["msg"].removeprefix("Value error, ")
        dotted = ".".join(map(str, path)) or "config"
        given = "" if isinstance(each["input"], Mapping) else f" is {each['input']!r}"
        found.append(f"{layers.at(path)}{dotted}{given}: {what[:1].lower()}{what[1:]}")
    return found


def _says(layers: Layers, key: str) -> bool:
    """Whether a key's value differs from its default: only then is its lack of meaning worth a word."""
    defaults = {field.alias: field.default for field in WorkerConfig.model_fields.values()}
    return bool(layers.values[key] != defaults.get(key))


def _unknown(layers: Layers) -> list[str]:
    """Name keys that nothing reads; Pulsar accepts them, so do we."""
    known = set(WorkerConfig.aliases().values()) - NOT_KEYS
    top = [(key,) for key in layers.values if key not in known]
    models: list[type[Keys]] = [*RUNTIME_CONFIGS.values(), MemoryLimit]
    settings = {alias for model in models for alias in model.aliases().values()}
    blocks = dict.fromkeys(settings, SETTINGS_KEY) | dict.fromkeys(MagnetarConfig.aliases().values(), "magnetar")
    sentences = [
        f"{layers.at((key,))}unknown key {key!r} here; it belongs under {blocks[key]}"
        if key in blocks
        else unknown_key(layers.at((key,)), key, known)
        for (key,) in top
    ]
    for key, block in _settings_blocks(layers):
        strangers = [str(each) for each in block if each not in settings]
        sentences += [unknown_key(f"{layers.at((key, each))}{key}: ", each, settings) for each in strangers]
    return sentences
