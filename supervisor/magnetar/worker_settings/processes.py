"""What the process and thread runtimes are configured with."""

import math
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from magnetar_instance.proto.function import FunctionDetails
from magnetar_instance.state import state_address

from magnetar.config.worker import WorkerConfig
from magnetar.log_files.policy import LogPolicy
from magnetar.packages.environments import Environments, EnvironmentSettings, FindLock, no_lock
from magnetar.packages.installer import Installer
from magnetar.policy.users import user_policy
from magnetar.processes.channel import Spawn
from magnetar.processes.child import Child
from magnetar.runtimes.choice import language_of
from magnetar.runtimes.process.go import GoLanguage
from magnetar.runtimes.process.java import JavaLanguage
from magnetar.runtimes.process.launch import Language
from magnetar.runtimes.process.python import PythonLanguage
from magnetar.runtimes.process.settings import LimitSettings, ProcessSettings, UserSettings
from magnetar.runtimes.thread.settings import ThreadSettings
from magnetar.worker_settings.java import java_settings
from magnetar.worker_settings.policies import survival
from magnetar.worker_settings.shared import credentials, exposed_web_service

_TIME_TO_START = 30
"""Seconds that a worker may take from its start until it asks its instances for their health."""


def instance_environment(config: WorkerConfig, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what instances inherit: everything, as Pulsar's do, or the names that the config lists."""
    names = config.magnetar.environment
    if names == "inherit":
        return dict(environ)
    return {name: environ[name] for name in names if name in environ}


def process_settings(
    config: WorkerConfig, environ: Mapping[str, str], sign: Callable[[str], str] | None = None
) -> ProcessSettings:
    """Return the settings of the process runtime; `sign` makes tokens in the names of functions."""
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
        python_state_url=state_address(config.state_directory),
        health_check_interval=_watchdog(config),
        credentials=credentials(config, sign),
        zygote=config.magnetar.zygote,
        log_format=config.magnetar.logs.format,
        limits=LimitSettings(**config.magnetar.limits.model_dump()),
        users=UserSettings(user_policy(config), config.magnetar.data_directory.absolute()),
        stop_grace=config.magnetar.stop_grace,
    )


def _watchdog(config: WorkerConfig) -> int:
    """Return the interval that watchdogs are told; after three of them without a health check they end their instance.

    Where instances outlive the worker these must be longer than the time that a next one has to come.
    """
    interval = config.instance_liveness_check_freq_ms // 1000
    if interval <= 0 or survival(config) is None:
        return interval
    return max(interval, math.ceil((config.magnetar.survive_for + _TIME_TO_START) / 3))


def environment_settings(config: WorkerConfig) -> EnvironmentSettings:
    """Return how the packages are installed that Python functions ask for."""
    process = config.process_runtime
    return EnvironmentSettings(
        install=process.install_user_code_dependencies is not False,
        repository=process.python_dependency_repository or "",
        extra_repository=process.python_extra_dependency_repository or "",
        build_from_source=config.magnetar.build_from_source,
        resolve_timeout=config.magnetar.resolve_timeout,
        install_timeout=config.magnetar.install_timeout,
    )


def environments(
    config: WorkerConfig,
    spawn: Callable[[Spawn], Awaitable[Child]],
    environ: Mapping[str, str],
    find_lock: FindLock = no_lock,
) -> Environments:
    """Return what resolves and installs the packages that Python functions ask for."""
    directory = config.magnetar.data_directory.absolute() / "environments"
    installer = Installer(directory / "cache", spawn, environ)
    return Environments(directory, installer, environment_settings(config), find_lock)


def log_policy(config: WorkerConfig) -> LogPolicy:
    """Return when the logs of instances are rotated."""
    logs = config.magnetar.logs
    return LogPolicy(logs.max_bytes, logs.max_age, logs.files, logs.total_bytes)


def process_languages(config: WorkerConfig, settings: ProcessSettings) -> Mapping[str, Language]:
    """Return how each language is launched, by Pulsar's name of it."""
    return {
        "PYTHON": PythonLanguage(settings),
        "JAVA": JavaLanguage(settings, java_settings(config, settings.environment)),
        "GO": GoLanguage(settings, exposed_web_service(config)),
    }


def process_admission(languages: Mapping[str, Language]) -> Callable[[FunctionDetails, Path], None]:
    """Return what judges a function before it is created: whether its language can run it here."""

    def admit(details: FunctionDetails, package: Path) -> None:
        if language := languages.get(language_of(details)):
            language.admit(details, package)

    return admit


def thread_settings(config: WorkerConfig, sign: Callable[[str], str] | None = None) -> ThreadSettings:
    """Return the settings of the thread runtime; functions log where those of the process runtime do."""
    return ThreadSettings(
        pulsar_service_url=config.pulsar_service_url,
        cluster_name=config.pulsar_functions_cluster,
        log_directory=config.process_runtime.log_directory.absolute(),
        download_directory=config.download_directory.absolute(),
        group_name=config.thread_runtime.thread_group_name,
        log_format=config.magnetar.logs.format,
        credentials=credentials(config, sign),
        data_directory=config.magnetar.data_directory.absolute(),
    )
