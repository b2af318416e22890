"""Magnetar's own options of pods: of a worker for all functions, of a function for itself."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.alias_generators import to_camel

CountOrPercent = Annotated[int, Field(ge=0)] | Annotated[str, Field(pattern=r"^\d+%$")]


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class DisruptionBudget(_Options):
    """How many pods a drain of nodes must leave; exactly one of the two."""

    min_available: CountOrPercent | None = None
    max_unavailable: CountOrPercent | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.min_available is None) == (self.max_unavailable is None):
            raise ValueError("give either minAvailable or maxUnavailable")
        return self


class Autoscaler(_Options):
    """A HorizontalPodAutoscaler between the function's parallelism and `max_replicas`.

    `metrics` and `behavior` are Kubernetes' own documents; without metrics the CPU is held at `target_cpu_percent`.
    """

    max_replicas: int = Field(gt=0)
    target_cpu_percent: int = Field(default=80, gt=0)
    metrics: tuple[dict[str, Any], ...] = ()
    behavior: dict[str, Any] = Field(default_factory=dict)


class KubernetesOptions(_Options):
    """What may be asked of the pods beyond Pulsar's keys; None leaves a choice to the worker, and there means no.

    `probes` needs an instance that serves gRPC health, which Magnetar's does and Pulsar's do not.
    `termination_grace_period_seconds` is 0 in Pulsar. `pod_template` is a piece of a PodTemplateSpec.
    """

    probes: bool | None = None
    termination_grace_period_seconds: Annotated[int, Field(ge=0)] | None = None
    pod_disruption_budget: DisruptionBudget | None = None
    autoscaler: Autoscaler | None = None
    pod_template: dict[str, Any] | None = None

    @field_validator("pod_template")
    @classmethod
    def _lists_have_names(cls, template: dict[str, Any] | None) -> dict[str, Any] | None:
        _demand_names(template)
        return template

    def over(self, other: "KubernetesOptions") -> "KubernetesOptions":
        """Return these options with another's where these say nothing; both pod templates count, these last."""
        given = {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}
        templates = [template for template in (other.pod_template, self.pod_template) if template]
        if len(templates) > 1:
            given["pod_template"] = merged(templates[0], templates[1])
        return other.model_copy(update=given)


_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "hostAliases": "ip",
}
_APPENDED = ("tolerations", "topologySpreadConstraints", "envFrom", "args")


def _demand_names(document: Any, key: str = "") -> None:
    """Raise ValueError for a list that is merged by name and has an item without one."""
    if isinstance(document, dict):
        for name, value in document.items():
            _demand_names(value, name)
    elif isinstance(document, list):
        if key in _KEYS and not all(isinstance(item, dict) and _KEYS[key] in item for item in document):
            raise ValueError(f"each of {key} needs its {_KEYS[key]}")
        for item in document:
            _demand_names(item)


def merged(base: Any, patch: Any, key: str = "") -> Any:
    """Merge a piece of a manifest as `kubectl patch` does: maps deeply, named lists by name, null removes."""
    if isinstance(base, dict) and isinstance(patch, dict):
        combined = {**base, **{name: merged(base.get(name), value, name) for name, value in patch.items()}}
        return {name: value for name, value in combined.items() if value is not None}
    if isinstance(base, list | tuple) and isinstance(patch, list | tuple):
        if key in _APPENDED:
            return [*base, *(item for item in patch if item not in base)]
        if key in _KEYS:
            return _merged_by(_KEYS[key], base, patch)
    return patch


def _merged_by(name: str, base: list[Any] | tuple[Any, ...], patch: list[Any] | tuple[Any, ...]) -> list[Any]:
    combined = {item[name]: item for item in base}
    for item in patch:
        identity = item[name]
        combined[identity] = merged(combined[identity], item) if identity in combined else item
    return list(combined.values())
