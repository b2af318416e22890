"""All settings of a worker in one frozen model."""

import socket
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from magnetar.config.broker_keys import BrokerKeys
from magnetar.config.magnetar import MagnetarConfig
from magnetar.config.runtime_keys import (
    OLDER_CONTAINERS,
    RUNTIME_FACTORIES,
    KubernetesRuntimeConfig,
    ProcessRuntimeConfig,
    RuntimeKeys,
    RuntimeName,
    ThreadRuntimeConfig,
)
from magnetar.config.security_keys import SecurityKeys
from magnetar.config.server_keys import ServerKeys

NOT_KEYS = frozenset({"warnings", "plainHttp"})
"""Fields of a WorkerConfig that no file holds."""


class WorkerConfig(ServerKeys, BrokerKeys, SecurityKeys, RuntimeKeys):
    """Every key of `functions_worker.yml`; `warnings` tells what in the file was accepted without effect."""

    magnetar: MagnetarConfig = Field(default_factory=MagnetarConfig)
    warnings: tuple[str, ...] = Field(default=(), exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _derive(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        aliases = cls.aliases()
        derived: dict[str, Any] = {str(aliases.get(key, key)): value for key, value in data.items()}
        hostname = derived.get("workerHostname") or socket.getfqdn()
        port = derived.get("workerPort") or derived.get("workerPortTls") or 6750
        derived["workerHostname"] = hostname
        derived["workerId"] = derived.get("workerId") or f"{hostname}-{port}"
        if "workerPort" in derived and derived["workerPort"] is None and derived.get("tlsEnabled") is True:
            derived["plainHttp"] = False
        derived["magnetar"] = _with_default_runtime(derived.get("magnetar"), derived)
        return derived

    @field_validator("worker_id", "worker_hostname")
    @classmethod
    def _has_no_colon(cls, value: str) -> str:
        if ":" in value:
            raise ValueError("a colon separates id, host and port in the fleet's names: choose one without")
        return value

    @property
    def runtime(self) -> RuntimeName:
        """The runtime of functions that do not choose one themselves."""
        return self.magnetar.default_runtime

    @property
    def state_directory(self) -> Path:
        """Where functions in Python keep state."""
        return self.magnetar.data_directory.absolute() / "state"

    @cached_property
    def runtime_settings(self) -> Mapping[str, Any]:
        """The runtime settings of the file, from the newer key or an older container key."""
        if self.function_runtime_factory_class_name:
            return self.function_runtime_factory_configs
        older = (self.thread_container_factory, self.process_container_factory, self.kubernetes_container_factory)
        return next((block for block in older if block is not None), self.function_runtime_factory_configs)

    @cached_property
    def process_runtime(self) -> ProcessRuntimeConfig:
        """Settings of the process runtime."""
        return ProcessRuntimeConfig.model_validate(self.runtime_settings)

    @cached_property
    def thread_runtime(self) -> ThreadRuntimeConfig:
        """Settings of the thread runtime."""
        return ThreadRuntimeConfig.model_validate(self.runtime_settings)

    @cached_property
    def kubernetes_runtime(self) -> KubernetesRuntimeConfig:
        """Settings of the Kubernetes runtime."""
        return KubernetesRuntimeConfig.model_validate(self.runtime_settings)


def chosen_runtime(document: Mapping[str, Any]) -> RuntimeName | None:
    """Return the runtime that a file chooses by Pulsar's keys, None when it chooses none."""
    if factory := document.get("functionRuntimeFactoryClassName"):
        return RUNTIME_FACTORIES.get(str(factory))
    return next((name for key, name in OLDER_CONTAINERS.items() if document.get(key) is not None), None)


def _with_default_runtime(block: Any, document: Mapping[str, Any]) -> Any:
    """Let Pulsar's choice of a runtime be the default one, unless the block says otherwise.

    Where roles are judged, functions run in the worker's own process only if threads are named: there they could be anyone.
    """
    if isinstance(block, MagnetarConfig) or (block is not None and not isinstance(block, Mapping)):
        return block
    chosen = chosen_runtime(document)
    own = MagnetarConfig.aliases()
    given = {own.get(key, key): value for key, value in (block or {}).items() if value is not None}
    named = {chosen, given.get("defaultRuntime")}
    if "runtimes" not in given:
        judged = document.get("authorizationEnabled") is True
        threads = ("thread",) if "thread" in named or not judged else ()
        given["runtimes"] = ("process", *threads, *(("kubernetes",) if chosen == "kubernetes" else ()))
    return given if chosen is None else {"defaultRuntime": chosen, **given}
