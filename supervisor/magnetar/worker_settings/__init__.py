"""From a worker's config to the settings of its rooms. Pure but for the environment, which is handed in."""

from magnetar.worker_settings.broker import broker_credentials, broker_process_settings, coordination_settings
from magnetar.worker_settings.http import server_tls
from magnetar.worker_settings.kubernetes import KUBERNETES, kubernetes_runtime, kubernetes_settings
from magnetar.worker_settings.policies import health_policy, restart_policy, runtime_choice, survival
from magnetar.worker_settings.processes import (
    environments,
    instance_environment,
    log_policy,
    process_admission,
    process_languages,
    process_settings,
    thread_settings,
)

__all__ = [
    "KUBERNETES",
    "broker_credentials",
    "broker_process_settings",
    "coordination_settings",
    "environments",
    "health_policy",
    "instance_environment",
    "kubernetes_runtime",
    "kubernetes_settings",
    "log_policy",
    "process_admission",
    "process_languages",
    "process_settings",
    "restart_policy",
    "runtime_choice",
    "server_tls",
    "survival",
    "thread_settings",
]
