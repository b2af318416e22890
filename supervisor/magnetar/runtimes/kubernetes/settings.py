"""What the Kubernetes runtime was configured with, and what a function's own options make of it. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from magnetar_instance.proto.function import FunctionDetails

from magnetar.config.runtime_keys import InstanceResources, KubernetesRuntimeConfig
from magnetar.errors import RefusedError
from magnetar.model.kubernetes_options import KubernetesOptions
from magnetar.model.runtime_options import parse_options
from magnetar.runtimes.process.settings import Credentials


@dataclass(frozen=True)
class Bounds:
    """What a function's resources are held to; None and False ask for nothing."""

    minimum: InstanceResources | None = None
    maximum: InstanceResources | None = None
    granularity: InstanceResources | None = None
    in_lock_step: bool = False


@dataclass(frozen=True)
class KubernetesSettings:
    """Settings that all functions of a worker share.

    `keys` are Pulsar's own; `own` is what Magnetar's block adds. `service_url` and `admin_url` are the worker's, used
    where the keys name none. `credentials` are the worker's, None when it authenticates nobody.
    """

    keys: KubernetesRuntimeConfig
    cluster: str
    service_url: str
    admin_url: str
    download_directory: str = ""
    state_storage_url: str = ""
    credentials: Credentials | None = None
    bounds: Bounds = field(default_factory=Bounds)
    own: KubernetesOptions = field(default_factory=KubernetesOptions)
    functions_may_shape_pods: bool = False
    max_pending_async_requests: int = 1000
    ignore_unknown_config_fields: bool = False
    java_arguments: tuple[str, ...] = ()

    @property
    def fleet(self) -> str:
        """What marks an object as one of this fleet's: many clusters are called standalone, but none shares its broker."""
        return f"{self.cluster} at {self.service_url}"

    @property
    def broker_url(self) -> str:
        """The broker's address for the pods."""
        return self.keys.pulsar_service_url or self.service_url

    @property
    def download_url(self) -> str:
        """The address of the REST API that pods download their package from."""
        return self.keys.pulsar_admin_url or self.admin_url

    @property
    def dependencies_directory(self) -> str:
        """Where extra dependencies are in the pod."""
        return under(self.keys.pulsar_root_dir, self.keys.extra_function_dependencies_dir or "instances/deps")


def under(root: str, path: str) -> str:
    """Return a path in the pod: absolute ones as they are, others below the root, an empty one the root itself."""
    if path.startswith("/"):
        return path
    return f"{root.rstrip('/')}/{path}" if path else root


def custom_options(details: FunctionDetails) -> Mapping[str, Any]:
    """Return a function's customRuntimeOptions as a document; what is not a JSON object is refused."""
    if not details.customRuntimeOptions.strip():
        return {}
    try:
        document = json.loads(details.customRuntimeOptions)
    except ValueError as error:
        raise RefusedError(f"customRuntimeOptions is not JSON ({error}): give a JSON object in a string") from None
    if not isinstance(document, dict):
        raise RefusedError("customRuntimeOptions is not a JSON object: give one in a string")
    return document


def pod_options(settings: KubernetesSettings, details: FunctionDetails) -> KubernetesOptions:
    """Return the worker's options with the function's own over them, or raise RefusedError."""
    asked = parse_options(details.customRuntimeOptions).kubernetes
    if asked is None:
        return settings.own
    if asked.pod_template and not settings.functions_may_shape_pods:
        raise RefusedError(
            "customRuntimeOptions.magnetar.kubernetes.podTemplate: functions may not shape their pods on this worker; "
            "its magnetar.kubernetesPodTemplates has to be true"
        )
    return asked.over(settings.own)
