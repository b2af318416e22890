"""Settings that a ConfigMap changes while the worker runs; they count for what is submitted from then on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from magnetar.config.runtime_keys import KubernetesRuntimeConfig
from magnetar.model.nearest import unknown_key

_PULSARS_OWN = {"extraDependenciesDir": "extraFunctionDependenciesDir"}
"""Pulsar reads the names of its fields, which are those of the file but for this one."""
_FIXED = ("k8Uri", "submittingInsidePod", "changeConfigMap", "changeConfigMapNamespace")


@dataclass(frozen=True)
class Outcome:
    """What became of a ConfigMap: the settings to use, what changed and what was refused, in sentences."""

    keys: KubernetesRuntimeConfig
    changed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def apply(base: KubernetesRuntimeConfig, current: KubernetesRuntimeConfig, data: Mapping[str, str]) -> Outcome:
    """Put a ConfigMap's data over the file's settings; what is wrong is refused by itself and the rest counts.

    Pulsar takes strings alone and gives up at the first other field; here every key of the Kubernetes runtime counts
    but those that say how the API server is reached. `current` is what counted so far.
    """
    aliases = {alias: name for name, alias in KubernetesRuntimeConfig.aliases().items()}
    keys, refused = base, []
    for given, value in data.items():
        key = _PULSARS_OWN.get(given, given)
        if key in _FIXED:
            refused.append(f"{given} can't be changed while the worker runs")
        elif key not in aliases:
            refused.append(unknown_key("", given, [alias for alias in aliases if alias not in _FIXED]))
        else:
            keys = _with(keys, key, value, refused)
    changed = [
        f"{alias}: {getattr(current, name)!r} -> {getattr(keys, name)!r}"
        for alias, name in aliases.items()
        if getattr(current, name) != getattr(keys, name)
    ]
    return Outcome(keys, changed, refused)


def _with(keys: KubernetesRuntimeConfig, key: str, value: str, refused: list[str]) -> KubernetesRuntimeConfig:
    given = keys.model_dump(by_alias=True, exclude_unset=True)
    try:
        return KubernetesRuntimeConfig.model_validate({**given, key: value})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        refused.append(f"{key} is {value!r}: {problem['msg'][:1].lower()}{problem['msg'][1:]}")
        return keys
