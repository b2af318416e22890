"""Keys about how instances are run, and the settings of each runtime."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from magnetar.config.base import Keys

SETTINGS_KEY = "functionRuntimeFactoryConfigs"
"""The key whose block holds the settings of the runtime."""

RuntimeName = Literal["process", "thread", "kubernetes"]
_FACTORIES = "org.apache.pulsar.functions.runtime"
RUNTIME_FACTORIES: dict[str, RuntimeName] = {
    f"{_FACTORIES}.process.ProcessRuntimeFactory": "process",
    f"{_FACTORIES}.thread.ThreadRuntimeFactory": "thread",
    f"{_FACTORIES}.kubernetes.KubernetesRuntimeFactory": "kubernetes",
}
OLDER_CONTAINERS: dict[str, RuntimeName] = {
    "threadContainerFactory": "thread",
    "processContainerFactory": "process",
    "kubernetesContainerFactory": "kubernetes",
}


class ProcessRuntimeConfig(Keys):
    """Settings of the process runtime."""

    java_instance_jar_location: Path | None = None
    function_instance_class_path: str = ""
    python_instance_location: Path | None = None
    log_directory: Path = Path("logs")
    extra_function_dependencies_dir: Path | None = None
    install_user_code_dependencies: bool | None = None
    python_dependency_repository: str | None = None
    python_extra_dependency_repository: str | None = None

    @property
    def functions_log_directory(self) -> Path:
        """Where the functions' logs begin: Pulsar appends `functions` to the log directory."""
        return self.log_directory / "functions"


class MemoryLimit(Keys):
    """How much memory a Pulsar client may hold; both given means the lower."""

    absolute_value: int | None = Field(default=None, gt=0)
    percent_of_max_direct_memory: float | None = Field(default=None, gt=0, le=100)


class ThreadRuntimeConfig(Keys):
    """Settings of the thread runtime."""

    thread_group_name: str = "Thread Function Container Group"
    pulsar_client_memory_limit: MemoryLimit | None = None


class KubernetesRuntimeConfig(Keys):
    """Settings of the Kubernetes runtime."""

    k8_uri: str | None = None
    job_namespace: str = "default"
    job_name: str | None = None
    pulsar_docker_image_name: str = "apachepulsar/pulsar"
    function_docker_images: dict[Literal["JAVA", "PYTHON", "GO"], str] = Field(default_factory=dict)
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    pulsar_root_dir: str = "/pulsar"
    config_admin_cli: str = Field(default="/bin/pulsar-admin", alias="configAdminCLI")
    submitting_inside_pod: bool = False
    pulsar_service_url: str | None = None
    pulsar_admin_url: str | None = None
    install_user_code_dependencies: bool | None = None
    python_dependency_repository: str | None = None
    python_extra_dependency_repository: str | None = None
    extra_function_dependencies_dir: str | None = None
    custom_labels: dict[str, str] = Field(default_factory=dict)
    expected_metrics_collection_interval: int = 30
    change_config_map: str | None = None
    change_config_map_namespace: str | None = None
    percent_memory_padding: int = Field(default=10, ge=0)
    cpu_over_commit_ratio: float = Field(default=1.0, gt=0)
    memory_over_commit_ratio: float = Field(default=1.0, gt=0)
    grpc_port: int = Field(default=9093, gt=0, le=65535)
    metrics_port: int = Field(default=9094, gt=0, le=65535)
    nar_extraction_directory: str | None = None
    function_instance_class_path: str = ""
    grace_period_seconds: int = Field(default=5, ge=0)
    kubernetes_service_domain_suffix: str | None = None
    kubernetes_function_auth_provider_config: dict[str, Any] = Field(default_factory=dict)


RUNTIME_CONFIGS: dict[RuntimeName, type[Keys]] = {
    "process": ProcessRuntimeConfig,
    "thread": ThreadRuntimeConfig,
    "kubernetes": KubernetesRuntimeConfig,
}


class InstanceResources(Keys):
    """Bounds of what a function may ask for; what is absent is not bounded."""

    cpu: float | None = None
    ram: int | None = None
    disk: int | None = None


class RuntimeKeys(Keys):
    """Which runtime is used, and what all runtimes share."""

    function_runtime_factory_class_name: str | None = None
    function_runtime_factory_configs: dict[str, Any] = Field(default_factory=dict)
    thread_container_factory: dict[str, Any] | None = None
    process_container_factory: dict[str, Any] | None = None
    kubernetes_container_factory: dict[str, Any] | None = None
    instance_liveness_check_freq_ms: int = 30_000
    secrets_provider_configurator_class_name: str | None = None
    secrets_provider_configurator_config: dict[str, Any] = Field(default_factory=dict)
    function_instance_min_resources: InstanceResources | None = None
    function_instance_max_resources: InstanceResources | None = None
    function_instance_resource_granularities: InstanceResources | None = None
    function_instance_resource_change_in_lock_step: bool = False
    function_auth_provider_class_name: str | None = None
    runtime_customizer_class_name: str | None = None
    runtime_customizer_config: dict[str, Any] = Field(default_factory=dict)
    max_pending_async_requests: int = Field(default=1000, gt=0)
    forward_source_message_property: bool = True
    additional_java_runtime_arguments: tuple[str, ...] = ()
    expose_admin_client_enabled: bool = False
    ignore_unknown_config_fields: bool = False
    connectors_directory: Path = Path("./connectors")
    functions_directory: Path = Path("./functions")
    nar_extraction_directory: Path | None = None
    enable_classloading_of_builtin_files: bool = False
    enable_classloading_of_external_files: bool = False
    enable_referencing_connector_directory_files: bool = True
    enable_referencing_functions_directory_files: bool = True
    additional_enabled_connector_url_patterns: tuple[str, ...] = ()
    additional_enabled_functions_url_patterns: tuple[str, ...] = ()
    validate_connector_config: bool = False
    upload_builtin_sinks_sources: bool = True
