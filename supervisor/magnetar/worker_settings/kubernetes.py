"""What the Kubernetes runtime is configured with."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from magnetar_instance.proto.function import FunctionMetaData

from magnetar.config.worker import WorkerConfig
from magnetar.errors import RefusedError, StartError
from magnetar.runtimes.kubernetes.instances import by_address, by_name
from magnetar.runtimes.kubernetes.loading import load_extensions
from magnetar.runtimes.kubernetes.settings import Bounds, KubernetesSettings
from magnetar.worker_settings.policies import runtime_choice
from magnetar.worker_settings.shared import credentials

if TYPE_CHECKING:
    from magnetar.runtimes.kubernetes.runtime import KubernetesRuntime


KUBERNETES = "kubernetes"


def kubernetes_runtime(config: WorkerConfig) -> "KubernetesRuntime":
    """Return the Kubernetes runtime, not yet entered; its client library is imported here alone.

    Raises StartError for classes that can't be loaded and where the library is missing.
    """
    try:
        from magnetar.runtimes.kubernetes.runtime import KubernetesRuntime  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise StartError(
            f"the Kubernetes runtime needs a library that is missing ({error}): pip install 'magnetar[kubernetes]'"
        ) from None
    resolver = {"name": by_name, "address": by_address}[config.magnetar.kubernetes_reach]
    return KubernetesRuntime(kubernetes_settings(config), load_extensions(config), resolver=resolver)


def kubernetes_settings(config: WorkerConfig) -> KubernetesSettings:
    """Return the settings of the Kubernetes runtime."""
    return KubernetesSettings(
        keys=config.kubernetes_runtime,
        cluster=config.pulsar_functions_cluster,
        service_url=config.pulsar_service_url,
        admin_url=config.pulsar_web_service_url,
        download_directory=str(config.download_directory),
        state_storage_url=config.state_storage_service_url or "",
        credentials=credentials(config),
        bounds=Bounds(
            config.function_instance_min_resources,
            config.function_instance_max_resources,
            config.function_instance_resource_granularities,
            config.function_instance_resource_change_in_lock_step,
        ),
        own=config.magnetar.kubernetes,
        functions_may_shape_pods=config.magnetar.kubernetes_pod_templates,
        max_pending_async_requests=config.max_pending_async_requests,
        ignore_unknown_config_fields=config.ignore_unknown_config_fields,
        java_arguments=config.additional_java_runtime_arguments,
    )


def externally_managed(config: WorkerConfig) -> Callable[[FunctionMetaData], bool]:
    """Return what tells the functions that Kubernetes runs as a whole."""
    choose = runtime_choice(config)

    def external(metadata: FunctionMetaData) -> bool:
        try:
            return choose(metadata.functionDetails) == KUBERNETES
        except RefusedError:
            return False

    return external
