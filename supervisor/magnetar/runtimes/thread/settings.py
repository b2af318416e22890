"""What the thread runtime was configured with."""

from dataclasses import dataclass
from pathlib import Path

from magnetar_instance.logs import LogFormat

from magnetar.runtimes.process.settings import Credentials


@dataclass(frozen=True)
class ThreadSettings:
    """Settings that all thread functions of a worker share.

    `log_directory` is the base, as in the process runtime; so is `download_directory`, where each instance gets its own copy
    of its package. `group_name` begins the names of the threads.
    """

    pulsar_service_url: str
    cluster_name: str
    log_directory: Path
    download_directory: Path
    group_name: str = "Thread Function Container Group"
    credentials: Credentials | None = None
    secrets_provider: str = "secretsprovider.ClearTextSecretsProvider"
    data_directory: Path | None = None
    log_format: LogFormat = "text"
