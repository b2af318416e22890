"""From a config file and options to the config that is sent to the worker."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic.alias_generators import to_camel

from magnetar.cli.errors import UsageError
from magnetar.cli.functions.directory import zipped
from magnetar.cli.functions.options import FunctionOptions
from magnetar.cli.options import DEFAULT_NAMESPACE, DEFAULT_TENANT, Truth, split_fqfn
from magnetar.config.errors import ConfigError
from magnetar.config.text import parse
from magnetar.model.function import FunctionConfig, read_config
from magnetar.model.names import FunctionName

_JSON = {
    "input_specs": "--input-specs",
    "custom_serde_inputs": "--custom-serde-inputs",
    "custom_schema_inputs": "--custom-schema-inputs",
    "custom_schema_outputs": "--custom-schema-outputs",
    "producer_config": "--producer-config",
    "user_config": "--user-config",
    "secrets": "--secrets",
}
_BLOCKS = {
    **dict.fromkeys(("cpu", "ram", "disk"), "resources"),
    **dict.fromkeys(
        (
            "window_length_count",
            "window_length_duration_ms",
            "sliding_interval_count",
            "sliding_interval_duration_ms",
        ),
        "windowConfig",
    ),
}
_PACKAGES = ("jar", "py", "go")
_URLS = ("http://", "https://", "file:", "function://", "source://", "sink://")
_BUILTIN = "builtin://"


@dataclass(frozen=True)
class Given:
    """What a command was given: the config to send, its package, and what to warn about."""

    values: Mapping[str, Any]
    config: FunctionConfig
    name: FunctionName
    file: Path | None
    url: str | None
    warnings: tuple[str, ...]


def read_given(options: FunctionOptions) -> Given:
    """Put options over the config file. Raises UsageError, ConfigError for the file, RefusedError for a value."""
    path = options.function_config_file
    values = merged(read_file(path) if path else {}, options)
    config, warnings = read_config(values)
    name = _name(config)
    values |= {"tenant": name.tenant, "namespace": name.namespace, "name": name.name}
    file, url = _package(config, path)
    return Given(values, config, name, file, url, warnings)


def read_file(path: Path) -> dict[str, Any]:
    """Read a config file, YAML or JSON. Raises ConfigError that names the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}; correct --function-config-file"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: not UTF-8 text; save it as UTF-8"]) from None
    if text.lstrip().startswith("{"):
        return _read_json(text, path)
    return dict(parse(text, path.name).values)


def merged(values: Mapping[str, Any], options: FunctionOptions) -> dict[str, Any]:
    """Return the config of a file with the options put over it. Raises UsageError."""
    found = dict(values)
    for field in dataclasses.fields(options):
        given = getattr(options, field.name)
        if given is None or field.name in ("function_config_file", "fqfn"):
            continue
        if block := _BLOCKS.get(field.name):
            found[block] = {**(found.get(block) or {}), to_camel(field.name): given}
        else:
            found[to_camel(field.name)] = _value(field.name, given)
    if options.fqfn:
        if options.tenant or options.namespace or options.name:
            raise UsageError("--fqfn names the function whole: leave --tenant, --namespace and --name out")
        found |= split_fqfn(options.fqfn)._asdict()
    return found


def _value(field: str, given: Any) -> Any:
    if field == "inputs":
        return [topic.strip() for topic in given.split(",") if topic.strip()]
    if isinstance(given, Truth):
        return given is Truth.TRUE
    return _object(_JSON[field], given) if field in _JSON else given


def _object(option: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f'{option} is not JSON: {error}; write an object such as \'{{"key": "value"}}\'') from None
    if not isinstance(value, dict):
        raise UsageError(f"{option} is a {type(value).__name__}; write a JSON object")
    return value


def _read_json(text: str, path: Path) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise ConfigError([f"{path.name}:{line}: not JSON: {getattr(error, 'msg', error)}"]) from None
    return dict(value)


def _name(config: FunctionConfig) -> FunctionName:
    name = config.name or (config.class_name or "").rpartition(".")[2]
    if not name:
        raise UsageError("the function has no name: give --name, --fqfn or --classname")
    return FunctionName(config.tenant or DEFAULT_TENANT, config.namespace or DEFAULT_NAMESPACE, name)


def _package(config: FunctionConfig, config_file: Path | None) -> tuple[Path | None, str | None]:
    """Return the package's file here or its URL; None twice when there is none, or a builtin one."""
    for option in _PACKAGES:
        given: str | None = getattr(config, option)
        if not given or given.startswith(_BUILTIN):
            continue
        return (None, given) if given.startswith(_URLS) else (_local(option, given, config_file), None)
    return None, None


def _local(option: str, given: str, config_file: Path | None) -> Path:
    """Return the file: seen from the current directory as with pulsar-admin, else from beside the config file."""
    places = [Path(given), *([config_file.parent / given] if config_file else [])]
    for place in places:
        if place.is_file():
            return place
        if place.is_dir() and option == "py":
            return zipped(place)
    kind = "a directory" if Path(given).is_dir() else "not there"
    raise UsageError(f"--{option} {given} is {kind}: give the path of a file, a URL or {_BUILTIN}name")
