"""The worker's settings: `functions_worker.yml` is read once, at the edge."""

from magnetar.config.errors import ConfigError
from magnetar.config.load import Effective, load_config, load_effective
from magnetar.config.magnetar import EmbeddedBrokerConfig, MagnetarConfig, RestartConfig
from magnetar.config.runtime_keys import KubernetesRuntimeConfig, ProcessRuntimeConfig, ThreadRuntimeConfig
from magnetar.config.worker import WorkerConfig

__all__ = [
    "ConfigError",
    "Effective",
    "EmbeddedBrokerConfig",
    "KubernetesRuntimeConfig",
    "MagnetarConfig",
    "ProcessRuntimeConfig",
    "RestartConfig",
    "ThreadRuntimeConfig",
    "WorkerConfig",
    "load_config",
    "load_effective",
]
