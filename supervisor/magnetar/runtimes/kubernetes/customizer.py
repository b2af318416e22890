"""Who may change the manifests of a function before they are applied: a Protocol, and Pulsar's basic customizer. Pure."""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, Self

from magnetar_instance.proto.function import FunctionDetails
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from magnetar.errors import RefusedError
from magnetar.runtimes.kubernetes.settings import custom_options

BASIC = "org.apache.pulsar.functions.runtime.kubernetes.BasicKubernetesManifestCustomizer"
Manifest = dict[str, Any]


class KubernetesManifestCustomizer(Protocol):
    """What a class named by `runtimeCustomizerClassName` implements; it gets a manifest of its own and returns one.

    It is made with `runtimeCustomizerConfig` as its one argument. Each method may raise RefusedError: the function is
    then refused at create with that sentence. Names and selectors are set again afterwards.
    """

    def job_name(self, details: FunctionDetails, configured: str | None) -> str | None:
        """Return the name that the job is to be called by; None leaves it to the function's name."""

    def job_namespace(self, details: FunctionDetails, configured: str) -> str:
        """Return the Kubernetes namespace of the function's objects."""

    def service(self, details: FunctionDetails, service: Manifest) -> Manifest:
        """Return the Service to apply."""

    def stateful_set(self, details: FunctionDetails, stateful_set: Manifest) -> Manifest:
        """Return the StatefulSet to apply."""


class NoCustomizer:
    """Leaves everything as it is, and refuses options that only a customizer would read."""

    def job_name(self, details: FunctionDetails, configured: str | None) -> str | None:
        """Return the worker's choice, or raise RefusedError for options of the basic customizer."""
        asked = _options_in(details.customRuntimeOptions)
        if asked:
            raise RefusedError(
                f"customRuntimeOptions.{asked[0]} is refused: this worker has no runtimeCustomizerClassName that reads it"
            )
        return configured

    def job_namespace(self, details: FunctionDetails, configured: str) -> str:  # noqa: ARG002
        """Return the worker's choice."""
        return configured

    def service(self, details: FunctionDetails, service: Manifest) -> Manifest:  # noqa: ARG002
        """Return the Service unchanged."""
        return service

    def stateful_set(self, details: FunctionDetails, stateful_set: Manifest) -> Manifest:  # noqa: ARG002
        """Return the StatefulSet unchanged."""
        return stateful_set


def _options_in(text: str) -> list[str]:
    """Return which of the basic customizer's options stand in customRuntimeOptions."""
    try:
        document = json.loads(text or "{}")
    except ValueError:
        return []
    return [key for key in _BASIC_OPTIONS if isinstance(document, dict) and document.get(key)]


_BASIC_OPTIONS = (
    "jobName",
    "jobNamespace",
    "extraLabels",
    "extractLabels",
    "extraAnnotations",
    "nodeSelectorLabels",
    "tolerations",
    "resourceRequirements",
)


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, coerce_numbers_to_str=True)


class _Requirements(_Options):
    requests: dict[str, str] = Field(default_factory=dict)
    limits: dict[str, str] = Field(default_factory=dict)


class BasicOptions(_Options):
    """The options of Pulsar's basic customizer; its manual says `extractLabels`, its code reads `extraLabels`."""

    job_name: str | None = None
    job_namespace: str | None = None
    extra_labels: dict[str, str] = Field(
        default_factory=dict, validation_alias=AliasChoices("extraLabels", "extractLabels")
    )
    extra_annotations: dict[str, str] = Field(default_factory=dict)
    node_selector_labels: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[dict[str, Any], ...] = ()
    resource_requirements: _Requirements = Field(default_factory=_Requirements)

    @classmethod
    def read(cls, document: Mapping[str, Any], where: str) -> Self:
        """Return the options of a document, or raise RefusedError naming `where` they stand and what is wrong."""
        given = {key: value for key, value in document.items() if value is not None}
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            problems = (
                f"{where}.{'.'.join(map(str, each['loc']))} is {each['input']!r}: {each['msg'].lower()}"
                for each in error.errors(include_url=False)
            )
            raise RefusedError("; ".join(problems)) from None

    def over(self, other: "BasicOptions") -> "BasicOptions":
        """Return both together: on a conflict these win, tolerations add up."""
        mine, theirs = self.resource_requirements, other.resource_requirements
        return BasicOptions(
            job_name=self.job_name or other.job_name,
            job_namespace=self.job_namespace or other.job_namespace,
            extra_labels={**other.extra_labels, **self.extra_labels},
            extra_annotations={**other.extra_annotations, **self.extra_annotations},
            node_selector_labels={**other.node_selector_labels, **self.node_selector_labels},
            tolerations=(*other.tolerations, *self.tolerations),
            resource_requirements=_Requirements(
                requests={**theirs.requests, **mine.requests}, limits={**theirs.limits, **mine.limits}
            ),
        )


class BasicKubernetesManifestCustomizer:
    """Pulsar's: the worker's options, and over them the function's own from its customRuntimeOptions."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._worker = BasicOptions.read(config, "runtimeCustomizerConfig")

    def _options(self, details: FunctionDetails) -> BasicOptions:
        own = BasicOptions.read(custom_options(details), "customRuntimeOptions")
        return own.over(self._worker)

    def job_name(self, details: FunctionDetails, configured: str | None) -> str | None:
        """Return the function's choice, the customizer's or the worker's."""
        return self._options(details).job_name or configured

    def job_namespace(self, details: FunctionDetails, configured: str) -> str:
        """Return the function's choice, the customizer's or the worker's."""
        return self._options(details).job_namespace or configured

    def service(self, details: FunctionDetails, service: Manifest) -> Manifest:
        """Add labels and annotations."""
        changed = copy.deepcopy(service)
        _describe(changed["metadata"], self._options(details))
        return changed

    def stateful_set(self, details: FunctionDetails, stateful_set: Manifest) -> Manifest:
        """Add labels, annotations, node selectors, tolerations and resources."""
        options, changed = self._options(details), copy.deepcopy(stateful_set)
        template = changed["spec"]["template"]
        for metadata in (changed["metadata"], template["metadata"]):
            _describe(metadata, options)
        pod = template["spec"]
        if options.node_selector_labels:
            pod["nodeSelector"] = {**pod.get("nodeSelector", {}), **options.node_selector_labels}
        pod["tolerations"] = [*pod.get("tolerations", []), *options.tolerations]
        for resources, kind, values in _resources(pod, options.resource_requirements):
            resources[kind] = {**resources.get(kind, {}), **values}
        return changed


def _describe(metadata: Manifest, options: BasicOptions) -> None:
    for key, values in (("labels", options.extra_labels), ("annotations", options.extra_annotations)):
        if values:
            metadata[key] = {**metadata.get(key, {}), **values}


def _resources(pod: Manifest, wanted: _Requirements) -> Iterator[tuple[Manifest, str, dict[str, str]]]:
    for container in pod["containers"]:
        for kind, values in (("requests", wanted.requests), ("limits", wanted.limits)):
            only = {name: value for name, value in values.items() if name in ("cpu", "memory")}
            if only:
                yield container.setdefault("resources", {}), kind, only
