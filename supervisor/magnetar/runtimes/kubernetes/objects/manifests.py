"""From a function to its objects in Kubernetes. Pure: the same function always gives the same objects."""

import copy
import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from magnetar_instance.proto.function import FunctionDetails

from magnetar.model.kubernetes_options import Autoscaler, KubernetesOptions, merged
from magnetar.model.names import name_of
from magnetar.runtimes.base import FunctionSpec
from magnetar.runtimes.choice import language_of
from magnetar.runtimes.json_text import stable_json
from magnetar.runtimes.kubernetes.auth import KubernetesFunctionAuthProvider, WorkersCredentials
from magnetar.runtimes.kubernetes.customizer import KubernetesManifestCustomizer, NoCustomizer
from magnetar.runtimes.kubernetes.objects.command import PodCommand, stable_details
from magnetar.runtimes.kubernetes.objects.naming import NAME_ANNOTATION, job_name, labels
from magnetar.runtimes.kubernetes.objects.quantities import Ratios, container_resources
from magnetar.runtimes.kubernetes.secrets import ClearTextSecrets, SecretsProviderConfigurator, secrets_of
from magnetar.runtimes.kubernetes.settings import KubernetesSettings, pod_options

Manifest = dict[str, Any]
CONTAINER = "pulsarfunction"
SUBMITTED_ANNOTATION = "magnetar/submitted"
"""Tells a restarted worker that a function is there as it should be, whatever became of the worker's own settings."""
TEMPLATE_ANNOTATION = "magnetar/template"
"""Digest of the pods' template without the parallelism, a colon, the parallelism that the pods were told."""
FLEET_ANNOTATION = "magnetar/fleet"
"""Says whose the object is, so that workers of two fleets leave each other's objects alone."""
_IDENTITY = uuid.UUID("6f1f9d1c-4b84-5f0e-9b3d-0a5d6a3b5f10")
_NODE_PROBLEMS = (
    "node.kubernetes.io/not-ready",
    "node.alpha.kubernetes.io/notReady",
    "node.alpha.kubernetes.io/unreachable",
)
_LEAVE_NODE_AFTER = 10


@dataclass(frozen=True)
class Extensions:
    """Those who have a say in the manifests; `certificates` says whether the auth provider's Secret holds some."""

    customizer: KubernetesManifestCustomizer = field(default_factory=NoCustomizer)
    auth: KubernetesFunctionAuthProvider = field(default_factory=WorkersCredentials)
    secrets: SecretsProviderConfigurator = field(default_factory=ClearTextSecrets)
    certificates: bool = False


@dataclass(frozen=True)
class Objects:
    """What a function is in Kubernetes; `extras` are a disruption budget and an autoscaler, where asked for."""

    namespace: str
    name: str
    service: Manifest
    stateful_set: Manifest
    extras: tuple[Manifest, ...] = ()

    def all(self) -> tuple[Manifest, ...]:
        """Return every object in the order in which it is applied."""
        return (self.service, self.stateful_set, *self.extras)


def place(settings: KubernetesSettings, details: FunctionDetails, extensions: Extensions) -> tuple[str, str]:
    """Return the Kubernetes namespace and the name of a function's job, or raise RefusedError."""
    namespace = extensions.customizer.job_namespace(details, settings.keys.job_namespace)
    configured = extensions.customizer.job_name(details, settings.keys.job_name)
    return namespace, job_name(name_of(details), configured)


def build(
    settings: KubernetesSettings, spec: FunctionSpec, extensions: Extensions, applied: Mapping[str, str] | None = None
) -> Objects:
    """Return a function's objects, or raise RefusedError.

    `applied` are the annotations of its StatefulSet as it is: where nothing but the parallelism differs the pods keep
    the details that they were started with, so that a change of scale changes the number of replicas alone.
    """
    return _Builder(settings, spec, extensions).objects(applied or {})


class _Builder:
    def __init__(self, settings: KubernetesSettings, spec: FunctionSpec, extensions: Extensions) -> None:
        self._settings = settings
        self._spec = spec
        self._extensions = extensions
        self._options = pod_options(settings, spec.details)
        self._namespace, self._name = place(settings, spec.details, extensions)
        self._labels = labels(spec.details, settings.keys.custom_labels)

    def objects(self, applied: Mapping[str, str]) -> Objects:
        digest, _, told = applied.get(TEMPLATE_ANNOTATION, "").partition(":")
        stable = _digest(self._stateful_set(parallelism=0, replicas=0)["spec"]["template"])
        parallelism = int(told) if digest == stable and told else self._spec.details.parallelism
        stateful_set = self._stateful_set(parallelism, replicas=self._spec.details.parallelism)
        notes = {SUBMITTED_ANNOTATION: submitted(self._spec), TEMPLATE_ANNOTATION: f"{stable}:{parallelism}"}
        service = self._extensions.customizer.service(self._spec.details, self._service())
        return Objects(
            self._namespace,
            self._name,
            self._finished(service, {}),
            self._finished(stateful_set, notes),
            tuple(self._finished(extra, {}) for extra in self._extras()),
        )

    def _metadata(self) -> Manifest:
        return {"name": self._name, "namespace": self._namespace, "labels": dict(self._labels)}

    def _finished(self, manifest: Manifest, notes: Mapping[str, str]) -> Manifest:
        """Set what no customizer may change and note what the object was made for."""
        finished = copy.deepcopy(manifest)
        metadata = finished["metadata"]
        metadata.update(name=self._name, namespace=self._namespace)
        own = {NAME_ANNOTATION: self._spec.fqfn, FLEET_ANNOTATION: self._settings.fleet, **notes}
        metadata["annotations"] = {**metadata.get("annotations", {}), **own}
        return finished

    def _service(self) -> Manifest:
        port = {"name": "grpc", "port": self._settings.keys.grpc_port, "protocol": "TCP"}
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": self._metadata(),
            "spec": {"clusterIP": "None", "ports": [port], "selector": dict(self._labels)},
        }

    def _stateful_set(self, parallelism: int, replicas: int) -> Manifest:
        details = FunctionDetails()
        details.CopyFrom(self._spec.details)
        details.parallelism = parallelism
        spec = FunctionSpec(details, self._spec.package, self._spec.auth)
        manifest = self._extensions.customizer.stateful_set(
            self._spec.details, self._plain_stateful_set(spec, replicas)
        )
        manifest = self._extensions.auth.mount(spec, manifest)
        body = manifest["spec"]
        if self._options.pod_template:
            body["template"] = merged(body["template"], self._options.pod_template)
        body["serviceName"] = self._name
        body["selector"] = {"matchLabels": dict(self._labels)}
        template = body["template"]["metadata"]
        template["labels"] = {**template.get("labels", {}), **self._labels}
        return manifest

    def _plain_stateful_set(self, spec: FunctionSpec, replicas: int) -> Manifest:
        body: Manifest = {
            "serviceName": self._name,
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": dict(self._labels)},
            "template": self._template(spec),
        }
        if self._options.autoscaler is None:
            body["replicas"] = replicas
        return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": self._metadata(), "spec": body}

    def _template(self, spec: FunctionSpec) -> Manifest:
        annotations = {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(self._settings.keys.metrics_port),
            NAME_ANNOTATION: spec.fqfn,
        }
        away = [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _LEAVE_NODE_AFTER}
            for key in _NODE_PROBLEMS
        ]
        return {
            "metadata": {"labels": dict(self._labels), "annotations": annotations},
            "spec": {
                "terminationGracePeriodSeconds": self._options.termination_grace_period_seconds or 0,
                "tolerations": away,
                "containers": [self._container(spec)],
            },
        }

    def _container(self, spec: FunctionSpec) -> Manifest:
        keys = self._settings.keys
        secrets = self._extensions.secrets
        ratios = Ratios(keys.cpu_over_commit_ratio, keys.memory_over_commit_ratio, keys.percent_memory_padding)
        name = {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
        container = {
            "name": CONTAINER,
            "image": image(self._settings, spec.details),
            "imagePullPolicy": keys.image_pull_policy,
            "command": self._command(spec),
            "env": [name, *secrets.environment(secrets_of(spec.details))],
            "ports": [
                {"name": "grpc", "containerPort": keys.grpc_port, "protocol": "TCP"},
                {"name": "prometheus", "containerPort": keys.metrics_port, "protocol": "TCP"},
            ],
            "resources": container_resources(spec.details.resources, ratios),
        }
        return {**container, **_probes(self._options, keys.grpc_port)}

    def _command(self, spec: FunctionSpec) -> list[str]:
        extensions = self._extensions
        credentials = extensions.auth.credentials(
            spec, self._settings.credentials, certificates=extensions.certificates
        )
        command = PodCommand(
            self._settings,
            spec,
            identity=identity(spec),
            credentials=credentials,
            secrets_provider=extensions.secrets.provider(language_of(spec.details)),
        )
        return command.compose()

    def _extras(self) -> list[Manifest]:
        extras = []
        if budget := self._options.pod_disruption_budget:
            spec = budget.model_dump(by_alias=True, exclude_none=True)
            spec["selector"] = {"matchLabels": dict(self._labels)}
            extras.append(self._extra("policy/v1", "PodDisruptionBudget", spec))
        if scaler := self._options.autoscaler:
            spec = _autoscaler(scaler, self._name, self._spec.details.parallelism)
            extras.append(self._extra("autoscaling/v2", "HorizontalPodAutoscaler", spec))
        return extras

    def _extra(self, version: str, kind: str, spec: Manifest) -> Manifest:
        return {"apiVersion": version, "kind": kind, "metadata": self._metadata(), "spec": spec}


def image(settings: KubernetesSettings, details: FunctionDetails) -> str:
    """Return the image of a function: its language's, or the one for all (Pulsar 4 leaves it out then)."""
    wanted = language_of(details)
    own = (name for language, name in settings.keys.function_docker_images.items() if language == wanted)
    return next(own, settings.keys.pulsar_docker_image_name)


def identity(spec: FunctionSpec) -> tuple[str, str]:
    """Return the function's id and version as its instances see them: the same after every restart of a worker."""
    function_id = uuid.uuid5(_IDENTITY, spec.fqfn)
    version = uuid.uuid5(function_id, f"{stable_details(spec.details)}\n{spec.package.packagePath}")
    return str(function_id), str(version)


def submitted(spec: FunctionSpec) -> str:
    """Return a digest of all that makes a function, its scale included."""
    auth = spec.auth.data.decode() if spec.auth else ""
    return _digest({"details": stable_json(spec.details), "package": spec.package.packagePath, "auth": auth})


def _probes(options: KubernetesOptions, port: int) -> Manifest:
    if not options.probes:
        return {}
    health = {"grpc": {"port": port}}
    return {
        "startupProbe": {**health, "periodSeconds": 2, "failureThreshold": 150},
        "readinessProbe": {**health, "periodSeconds": 5, "timeoutSeconds": 3},
        "livenessProbe": {**health, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
    }


def _autoscaler(scaler: Autoscaler, name: str, parallelism: int) -> Manifest:
    utilization = {"type": "Utilization", "averageUtilization": scaler.target_cpu_percent}
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": utilization}}
    spec: Manifest = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name},
        "minReplicas": parallelism,
        "maxReplicas": max(parallelism, scaler.max_replicas),
        "metrics": list(scaler.metrics) or [cpu],
    }
    return {**spec, "behavior": scaler.behavior} if scaler.behavior else spec


def _digest(document: Manifest) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
