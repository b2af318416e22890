"""What the REST API knows of the worker's config."""

from dataclasses import dataclass
from pathlib import Path

from magnetar.config.worker import WorkerConfig


@dataclass(frozen=True)
class RestSettings:
    """Where the API is served and within which bounds; `log_directory` is the one that `functions/…` begins in."""

    host: str = "127.0.0.1"
    scheme: str = "http"
    allowed_hosts: tuple[str, ...] = ()
    log_directory: Path = Path("logs")
    max_upload_bytes: int = 4 * 2**30
    max_requests_per_second: float | None = None
    authenticates_root: bool = True


def rest_settings(config: WorkerConfig) -> RestSettings:
    """Return the settings of a worker's REST API."""
    return RestSettings(
        host=config.magnetar.bind_address,
        scheme="https" if config.tls_enabled else "http",
        allowed_hosts=config.magnetar.allowed_hosts,
        log_directory=config.process_runtime.log_directory.absolute(),
        max_upload_bytes=config.magnetar.max_upload_bytes,
        max_requests_per_second=config.http_requests_max_per_second if config.http_requests_limit_enabled else None,
        authenticates_root=config.authenticate_metrics_endpoint,
    )
