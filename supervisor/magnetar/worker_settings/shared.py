"""What several runtimes are configured with alike."""

from magnetar.config.worker import WorkerConfig
from magnetar.runtimes.process.settings import Credentials


def exposed_web_service(config: WorkerConfig) -> str:
    """Return the admin address that functions are told, empty unless the worker exposes it."""
    return config.pulsar_web_service_url if config.expose_admin_client_enabled else ""


def credentials(config: WorkerConfig) -> Credentials | None:
    """Return what instances authenticate with: as in Pulsar, only when the worker authenticates its own clients."""
    if not config.authentication_enabled:
        return None
    return Credentials(
        plugin=config.broker_client_authentication_plugin or config.client_authentication_plugin or "",
        parameters=config.broker_client_authentication_parameters or config.client_authentication_parameters or "",
        use_tls=config.use_tls,
        tls_allow_insecure=config.tls_allow_insecure_connection,
        hostname_verification=config.tls_enable_hostname_verification,
        tls_trust_cert_path=config.tls_trust_certs_file_path or "",
    )
