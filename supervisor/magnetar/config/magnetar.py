"""Magnetar's own block of `functions_worker.yml`."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from magnetar.config.base import OwnKeys
from magnetar.config.runtime_keys import RuntimeName
from magnetar.config.server_keys import Port
from magnetar.model.kubernetes_options import KubernetesOptions

_WHOSE = re.compile(r"\*|[^/*\s]+(/[^/*\s]+){0,2}")
_RANGE = re.compile(r"(\d{1,10})-(\d{1,10})", re.ASCII)
_NO_USER = 2**32 - 1


class RestartConfig(OwnKeys):
    """How instances that died are started again; seconds."""

    initial_delay: float = Field(default=0.5, ge=0)
    max_delay: float = Field(default=60, gt=0)
    forget_after: float = Field(default=60, ge=0)
    intensity: int = Field(default=5, gt=0)
    period: float = Field(default=60, gt=0)

    @model_validator(mode="after")
    def _delays_grow(self) -> Self:
        if self.initial_delay > self.max_delay:
            raise ValueError(f"initialDelay {self.initial_delay} is above maxDelay {self.max_delay}: lower it")
        return self


class LogsConfig(OwnKeys):
    """How the logs of instances on this host are written and rotated; seconds, and 0 is no bound."""

    max_bytes: int = Field(default=10 * 2**20, ge=0)
    max_age: float = Field(default=0, ge=0)
    files: int = Field(default=5, ge=0)
    total_bytes: int = Field(default=2**30, ge=0)
    format: Literal["text", "json"] = "text"


class LimitsConfig(OwnKeys):
    """What instances on this host are held to; Pulsar's worker holds them to nothing."""

    enforce: bool = False
    pids: int = Field(default=0, ge=0)
    no_new_privileges: bool = True


class UsersConfig(OwnKeys):
    """Which users of this host instances run as; without any, as the worker's own."""

    named: dict[str, str] = Field(default_factory=dict)
    numbers: str = ""
    per: Literal["function", "tenant"] = "function"

    @field_validator("named")
    @classmethod
    def _names_are_of_functions(cls, named: dict[str, str]) -> dict[str, str]:
        for name in named:
            if not _WHOSE.fullmatch(name):
                raise ValueError(
                    f"{name!r} is none of tenant, tenant/namespace, tenant/namespace/name and *: correct it"
                )
        return named

    @field_validator("numbers")
    @classmethod
    def _numbers_are_a_range(cls, text: str) -> str:
        found = _RANGE.fullmatch(text)
        if text and (found is None or not 0 < int(found[1]) <= int(found[2]) < _NO_USER):
            raise ValueError("give the first and the last number of users that nobody else has, e.g. 200000-265535")
        return text

    @property
    def pool(self) -> range:
        """The users that functions without a named one get, one each; empty without `numbers`."""
        found = _RANGE.fullmatch(self.numbers)
        return range(int(found[1]), int(found[2]) + 1) if found else range(0)


class EmbeddedBrokerConfig(OwnKeys):
    """The broker that the worker brings along; a port of 0 is any free one, chosen at the start.

    With the two ports of TLS it speaks TLS alone, with the worker's own certificate.
    """

    host: str = "127.0.0.1"
    port: Port = 6650
    admin_port: Port = 0
    broker_service_port_tls: Port | None = None
    web_service_port_tls: Port | None = None

    @property
    def tls(self) -> bool:
        """Whether it speaks TLS."""
        return self.broker_service_port_tls is not None

    @property
    def ports(self) -> tuple[int, int]:
        """Where the protocol and the admin API are served."""
        if self.broker_service_port_tls is None:
            return self.port, self.admin_port
        return self.broker_service_port_tls, self.web_service_port_tls or 0

    @model_validator(mode="after")
    def _both_doors_speak_alike(self) -> Self:
        if (self.broker_service_port_tls is None) != (self.web_service_port_tls is None):
            raise ValueError("brokerServicePortTls and webServicePortTls belong together: give both or neither")
        return self


class MagnetarConfig(OwnKeys):
    """The `magnetar:` block; seconds throughout.

    `bind_address` is where REST, health and metrics listen; Pulsar's worker listens everywhere. With `embedded_broker` the
    worker starts a broker of its own in its data directory, and the keys that name a Pulsar are not read.
    """

    health_port: Port = 9093
    metrics_port: Port = 9094
    bind_address: str = "0.0.0.0"  # noqa: S104 - as Pulsar's worker does; standalone chooses loopback
    embedded_broker: EmbeddedBrokerConfig | None = None
    data_directory: Path = Path(".magnetar")
    environment: Literal["inherit"] | tuple[str, ...] = "inherit"
    runtimes: tuple[RuntimeName, ...] = Field(default=("process", "thread"), min_length=1)
    default_runtime: RuntimeName = "process"
    restart: RestartConfig = Field(default_factory=RestartConfig)
    limits: LimitsConfig = Field(default_factory=LimitsConfig)
    users: UsersConfig = Field(default_factory=UsersConfig)
    logs: LogsConfig = Field(default_factory=LogsConfig)
    stop_grace: float = Field(default=10, ge=0)
    start_timeout: float = Field(default=60, gt=0)
    stall_after: float = Field(default=60, gt=0)
    stall_timeout: float = Field(default=0, ge=0)
    zygote: bool = True
    build_from_source: bool = False
    resolve_timeout: float = Field(default=60, gt=0)
    install_timeout: float = Field(default=600, gt=0)
    instance_credentials: Literal["caller", "worker", "none"] = "caller"
    allowed_hosts: tuple[str, ...] = ()
    max_upload_bytes: int = Field(default=4 * 2**30, gt=0)
    subreaper: bool = False
    instance_survives_worker: bool = False
    survive_for: float = Field(default=60, gt=0)
    kubernetes: KubernetesOptions = Field(default_factory=KubernetesOptions)
    kubernetes_pod_templates: bool = False
    kubernetes_reach: Literal["name", "address"] = "name"

    @model_validator(mode="after")
    def _stalls_are_seen_before_they_end(self) -> Self:
        if 0 < self.stall_timeout < self.stall_after:
            raise ValueError(f"stallTimeout {self.stall_timeout:g} is below stallAfter {self.stall_after:g}: raise it")
        return self

    @model_validator(mode="after")
    def _nothing_is_built_as_the_worker(self) -> Self:
        if self.build_from_source and (self.users.named or self.users.numbers):
            raise ValueError(
                "buildFromSource runs code of packages as the worker's user, which users keeps functions from: drop one"
            )
        return self

    @model_validator(mode="after")
    def _default_is_allowed(self) -> Self:
        if self.default_runtime not in self.runtimes:
            allowed = ", ".join(self.runtimes)
            raise ValueError(f"defaultRuntime {self.default_runtime!r} is not among runtimes ({allowed}): add it")
        return self
