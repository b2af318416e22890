"""From a worker's config to the settings of its rooms. Pure but for the environment, which is handed in."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from magnetar_instance.proto.function import FunctionDetails
from magnetar_instance.settings import ClientAuth

from magnetar.config.worker import WorkerConfig
from magnetar.coordination.settings import CoordinationSettings
from magnetar.credentials import BrokerCredentials
from magnetar.embedded_broker import BrokerProcessSettings
from magnetar.errors import StartError
from magnetar.java.archive import find_archive
from magnetar.java.installation import JavaInstallation, cache_directory, find_installation
from magnetar.java.version import find_java, java_release
from magnetar.model.runtime_options import parse_options
from magnetar.policy.health import HealthPolicy
from magnetar.policy.restart import RestartPolicy
from magnetar.processes.launcher import CLEAN_NAMES
from magnetar.runtimes.choice import choose_runtime, language_of
from magnetar.runtimes.kubernetes.loading import load_extensions
from magnetar.runtimes.kubernetes.settings import Bounds, KubernetesSettings
from magnetar.runtimes.process.go import GoLanguage
from magnetar.runtimes.process.java import JavaLanguage, JavaSettings
from magnetar.runtimes.process.launch import Language
from magnetar.runtimes.process.python import PythonLanguage
from magnetar.runtimes.process.settings import Credentials, ProcessSettings
from magnetar.runtimes.thread.settings import ThreadSettings

if TYPE_CHECKING:
    from magnetar.runtimes.kubernetes.runtime import KubernetesRuntime


def restart_policy(config: WorkerConfig) -> RestartPolicy:
    """Return the restart policy of the `magnetar:` block."""
    return RestartPolicy(**config.magnetar.restart.model_dump())


def health_policy(config: WorkerConfig) -> HealthPolicy:
    """Return how long instances may hang: health checks as long as a watchdog of Pulsar's, three of its intervals."""
    own, interval = config.magnetar, config.instance_liveness_check_freq_ms / 1000
    patience = 3 * interval if interval > 0 else HealthPolicy().patience
    return HealthPolicy(patience, own.stall_after, own.stall_timeout or None)


def instance_environment(config: WorkerConfig, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what instances inherit: everything, as Pulsar's do, or the names that the config lists."""
    names = config.magnetar.environment
    if names == "inherit":
        return dict(environ)
    return {name: environ[name] for name in names if name in environ}


def process_settings(config: WorkerConfig, environ: Mapping[str, str]) -> ProcessSettings:
    """Return the settings of the process runtime."""
    process = config.process_runtime
    pulsar_home = environ.get("PULSAR_HOME")
    return ProcessSettings(
        pulsar_service_url=config.pulsar_service_url,
        cluster_name=config.pulsar_functions_cluster,
        log_directory=process.log_directory.absolute(),
        download_directory=config.download_directory.absolute(),
        records=config.magnetar.data_directory.absolute() / "instances",
        environment=instance_environment(config, environ),
        extra_dependencies=process.extra_function_dependencies_dir,
        python_instance=process.python_instance_location,
        logging_config=f"{pulsar_home}/conf/functions-logging/logging_config.ini" if pulsar_home else "",
        state_storage_url=config.state_storage_service_url or "",
        health_check_interval=config.instance_liveness_check_freq_ms // 1000,
        credentials=_credentials(config),
        zygote=config.magnetar.zygote,
    )


def java_settings(config: WorkerConfig, environment: Mapping[str, str]) -> JavaSettings:
    """Return the settings of Java instances; the cache is looked into at each start, for it may be filled meanwhile."""
    process = config.process_runtime
    cache = cache_directory()

    def archive(found: JavaInstallation) -> Path | None:
        program = find_java(environment)
        return program and find_archive(found, program, cache)

    return JavaSettings(
        find=lambda: find_installation(process.java_instance_jar_location, process.function_instance_class_path, cache),
        program=lambda: find_java(environment),
        release=java_release,
        archive=archive,
        additional_arguments=config.additional_java_runtime_arguments,
        max_pending_async_requests=config.max_pending_async_requests,
        web_service_url=_exposed_web_service(config),
        ignore_unknown_config_fields=config.ignore_unknown_config_fields,
        nar_extraction_directory=str(config.nar_extraction_directory or ""),
        host_memory=psutil.virtual_memory().total,
    )


def process_languages(config: WorkerConfig, settings: ProcessSettings) -> Mapping[str, Language]:
    """Return how each language is launched, by Pulsar's name of it."""
    return {
        "PYTHON": PythonLanguage(settings),
        "JAVA": JavaLanguage(settings, java_settings(config, settings.environment)),
        "GO": GoLanguage(settings, _exposed_web_service(config)),
    }


def _exposed_web_service(config: WorkerConfig) -> str:
    return config.pulsar_web_service_url if config.expose_admin_client_enabled else ""


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
    return KubernetesRuntime(kubernetes_settings(config), load_extensions(config))


def thread_settings(config: WorkerConfig) -> ThreadSettings:
    """Return the settings of the thread runtime; functions log where those of the process runtime do."""
    credentials = _credentials(config)
    return ThreadSettings(
        pulsar_service_url=config.pulsar_service_url,
        cluster_name=config.pulsar_functions_cluster,
        log_directory=config.process_runtime.log_directory.absolute(),
        group_name=config.thread_runtime.thread_group_name,
        auth=ClientAuth() if credentials is None else _client_auth(credentials),
        state_storage_url=config.state_storage_service_url or "",
    )


def _client_auth(credentials: Credentials) -> ClientAuth:
    return ClientAuth(
        plugin=credentials.plugin,
        parameters=credentials.parameters,
        tls_allow_insecure=credentials.tls_allow_insecure,
        tls_hostname_verification=credentials.hostname_verification,
        tls_trust_certs=credentials.tls_trust_cert_path,
    )


def kubernetes_settings(config: WorkerConfig) -> KubernetesSettings:
    """Return the settings of the Kubernetes runtime."""
    return KubernetesSettings(
        keys=config.kubernetes_runtime,
        cluster=config.pulsar_functions_cluster,
        service_url=config.pulsar_service_url,
        admin_url=config.pulsar_web_service_url,
        download_directory=str(config.download_directory),
        state_storage_url=config.state_storage_service_url or "",
        credentials=_credentials(config),
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


def broker_process_settings(config: WorkerConfig, environ: Mapping[str, str]) -> BrokerProcessSettings | None:
    """Return how to start the broker that belongs to this worker, None where it uses a Pulsar that is there."""
    broker = config.magnetar.embedded_broker
    if broker is None:
        return None
    data = config.magnetar.data_directory.absolute()
    return BrokerProcessSettings(
        data_directory=data / "broker",
        log_file=data / "broker.log",
        host=broker.host,
        port=broker.port,
        admin_port=broker.admin_port,
        environment={name: environ[name] for name in CLEAN_NAMES if name in environ},
    )


def broker_credentials(config: WorkerConfig) -> BrokerCredentials:
    """Return how the worker itself authenticates to the broker."""
    given = config.broker_credentials if config.authenticates_to_broker else None
    plugin, parameters = given or ("", "")
    trust = config.broker_trust_certs
    return BrokerCredentials(
        plugin=plugin,
        parameters=parameters,
        trust_certs=Path(trust) if trust else None,
        allow_insecure=config.tls_allow_insecure_connection,
        verify_hostname=config.tls_enable_hostname_verification,
    )


def coordination_settings(config: WorkerConfig, port: int) -> CoordinationSettings:
    """Return how the worker takes part in its fleet; `port` is where others reach its REST API."""
    return CoordinationSettings(
        worker_id=config.worker_id,
        hostname=config.worker_hostname,
        port=port,
        namespace=config.pulsar_functions_namespace,
        cluster=config.pulsar_functions_cluster,
        metadata_name=config.function_metadata_topic_name,
        coordination_name=config.cluster_coordination_topic_name,
        assignment_name=config.function_assignment_topic_name,
        compacted_metadata=config.use_compacted_metadata_topic,
        failure_check_interval=config.failure_check_freq_ms / 1000,
        reschedule_timeout=config.reschedule_timeout_ms / 1000,
        rebalance_interval=max(config.rebalance_check_freq_sec, 0),
        compaction_interval=max(config.topic_compaction_frequency_sec, 0),
        start_patience=config.initial_broker_reconnect_max_retries,
    )


def runtime_choice(config: WorkerConfig) -> Callable[[FunctionDetails], str]:
    """Return what names the runtime of a function, or raises RefusedError."""
    allowed, default = config.magnetar.runtimes, config.runtime

    def choose(details: FunctionDetails) -> str:
        asked = parse_options(details.customRuntimeOptions).runtime
        return choose_runtime(language_of(details), asked, allowed=allowed, default=default)

    return choose


def _credentials(config: WorkerConfig) -> Credentials | None:
    """Return what instances authenticate with: as in Pulsar, only when the worker authenticates its own clients."""
    if not config.authentication_enabled:
        return None
    return Credentials(
        plugin=config.broker_client_authentication_plugin or config.client_authentication_plugin or "",
        parameters=config.broker_client_authentication_parameters or config.client_authentication_parameters or "",
        use_tls=config.use_tls,
        tls_allow_insecure=config.tls_allow_insecure_connection,
        hostname_verification=config.tls_enable_hostname_verification,
        tls_trust_cert_path=config.tls_trust_certs_file_path or "",
    )
