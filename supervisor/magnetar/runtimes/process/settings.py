"""What the process runtime was configured with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from magnetar_instance.logs import LogFormat

from magnetar.policy.users import UserPolicy


@dataclass(frozen=True)
class Credentials:
    """How instances authenticate to the broker; with `callers`, by their function's creator's token where it is kept.

    Without anything to show they get a token of `sign`, which takes the function's name, where there is that.
    """

    plugin: str = ""
    parameters: str = field(default="", repr=False)
    use_tls: bool = False
    tls_allow_insecure: bool = False
    hostname_verification: bool = False
    tls_trust_cert_path: str = ""
    callers: bool = False
    sign: Callable[[str], str] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class LimitSettings:
    """Whether `resources` are enforced, how many processes an instance may have (0: any), and whether it may gain rights."""

    enforce: bool = False
    pids: int = 0
    no_new_privileges: bool = True


@dataclass(frozen=True)
class UserSettings:
    """Who gets which user; `data` is the worker's data directory, where numbers given away are remembered."""

    policy: UserPolicy = field(default_factory=UserPolicy)
    data: Path = Path(".magnetar")


@dataclass(frozen=True)
class ProcessSettings:
    """Settings that all instance processes of a worker share.

    `log_directory` is the base: `functions/<tenant>/…` is appended. `health_check_interval` is in seconds.
    `environment` is complete: a process inherits nothing else. Instances get their own copies of packages below
    `download_directory`; `records` is where the record of each running process is kept.
    `stop_grace` is what instances that another worker left, and nobody wants, have to end.
    Functions in Python keep state at `python_state_url`, where there is one, all others at `state_storage_url`.
    """

    pulsar_service_url: str
    cluster_name: str
    log_directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    download_directory: Path = Path("download/pulsar_functions")
    records: Path = Path(".magnetar/instances")
    extra_dependencies: Path | None = None
    python_instance: Path | None = None
    logging_config: str = ""
    state_storage_url: str = ""
    python_state_url: str = ""
    health_check_interval: int = 30
    secrets_provider: str = "secretsprovider.ClearTextSecretsProvider"
    credentials: Credentials | None = None
    zygote: bool = True
    stop_grace: float = 10.0
    log_format: LogFormat = "text"
    limits: LimitSettings = field(default_factory=LimitSettings)
    users: UserSettings = field(default_factory=UserSettings)
