"""What the functions' service knows of the worker's config."""

from dataclasses import dataclass, field
from pathlib import Path

from magnetar_instance.proto.function import FunctionDetails

from magnetar.config.worker import WorkerConfig
from magnetar.coordination.base import WorkerInfo
from magnetar.model.runtime_options import parse_options
from magnetar.packages.locations import UrlPolicy
from magnetar.policy.users import UserPolicy, user_policy


@dataclass(frozen=True)
class FunctionsSettings:
    """Who this worker is and what it lets functions do; seconds.

    With `keeps_tokens` a function that runs on workers gets the token of its creator; with `makes_tokens` it gets another
    where its creator has none.
    """

    worker: WorkerInfo
    runtimes: tuple[str, ...] = ("process", "thread")
    default_runtime: str = "process"
    forwards_properties: bool = True
    pending: int = 1000
    trigger_timeout: float = 30.0
    data_directory: Path = Path(".magnetar")
    keeps_tokens: bool = False
    makes_tokens: bool = False
    users: UserPolicy = field(default_factory=UserPolicy)

    def runtime_of(self, details: FunctionDetails) -> str:
        """Return the runtime that a function asks for or gets."""
        return parse_options(details.customRuntimeOptions).runtime or self.default_runtime


def functions_settings(config: WorkerConfig, port: int) -> FunctionsSettings:
    """Return the settings of a worker that serves REST on `port`."""
    return FunctionsSettings(
        worker=WorkerInfo(config.worker_id, config.worker_hostname, port),
        runtimes=config.magnetar.runtimes,
        default_runtime=config.runtime,
        forwards_properties=config.forward_source_message_property,
        pending=config.max_pending_async_requests,
        data_directory=config.magnetar.data_directory.absolute(),
        keeps_tokens=config.authentication_enabled and config.magnetar.instance_credentials == "caller",
        makes_tokens=config.magnetar.embedded_broker is not None,
        users=user_policy(config),
    )


def url_policy(config: WorkerConfig) -> UrlPolicy:
    """Return which URLs may be packages, by the keys of Pulsar 4.x."""
    trusted = config.functions_directory if config.enable_referencing_functions_directory_files else None
    return UrlPolicy(config.additional_enabled_functions_url_patterns, trusted and trusted.absolute())
