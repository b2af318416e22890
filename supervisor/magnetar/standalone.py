"""The settings of a worker with a broker of its own on one host: what a laptop needs, below what a file says. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from magnetar.config import WorkerConfig, load_config

WORKER_ID = "standalone"
"""Stays the same over restarts on any port, so that a worker finds its own assignments again."""

_ENVIRONMENT = ("PATH", "HOME", "LANG", "TZ", "PYTHONPATH", "VIRTUAL_ENV")
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class StandaloneOptions:
    """What the command line says; None leaves it to the file or the defaults."""

    data_directory: Path | None = None
    host: str | None = None
    http_port: int | None = None
    broker_port: int | None = None
    health_port: int | None = None
    metrics_port: int | None = None
    config_file: Path | None = None


def standalone_config(options: StandaloneOptions, environ: Mapping[str, str] | None = None) -> WorkerConfig:
    """Return the config of a standalone worker: the command line over the environment over the file over own defaults.

    Raises ConfigError.
    """
    overrides, file = _overrides(options), options.config_file
    data = options.data_directory or load_config(file, environ=environ).magnetar.data_directory
    return load_config(file, overrides, _defaults(data), environ)


def _defaults(data: Path) -> dict[str, Any]:
    return {
        "worker_id": WORKER_ID,
        "worker_hostname": "localhost",
        "worker_port": 8080,
        "download_directory": str(data / "downloads"),
        "function_runtime_factory_class_name": "org.apache.pulsar.functions.runtime.process.ProcessRuntimeFactory",
        "function_runtime_factory_configs": {"logDirectory": str(data / "logs")},
        "magnetar": {
            "data_directory": str(data),
            "bind_address": _LOOPBACK,
            "embedded_broker": {"host": _LOOPBACK},
            "environment": list(_ENVIRONMENT),
            "subreaper": True,
        },
    }


def _overrides(options: StandaloneOptions) -> dict[str, Any]:
    broker = _given(host=options.host, port=options.broker_port)
    own = _given(
        data_directory=str(options.data_directory) if options.data_directory else None,
        bind_address=options.host,
        health_port=options.health_port,
        metrics_port=options.metrics_port,
        embedded_broker=broker or None,
    )
    return {**_given(worker_port=options.http_port), "magnetar": own}


def _given(**values: Any) -> Mapping[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
