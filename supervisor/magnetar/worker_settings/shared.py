"""What several runtimes are configured with alike."""

from collections.abc import Callable

from magnetar.config.worker import WorkerConfig
from magnetar.runtimes.process.settings import Credentials


def exposed_web_service(config: WorkerConfig) -> str:
    """Return the admin address that functions are told, empty unless the worker exposes it."""
    return config.pulsar_web_service_url if config.expose_admin_client_enabled else ""


def credentials(config: WorkerConfig, sign: Callable[[str], str] | None = None) -> Credentials | None:
    """Return what instances authenticate with: as in Pulsar, only when the worker authenticates its own clients.

    A broker that belongs to this worker and speaks TLS is a reason, too: whom they trust is among it.
    The worker's own credentials are among it only where `magnetar.instanceCredentials` says so. `sign` makes the tokens of
    functions that have none otherwise, for a broker that belongs to this worker.
    """
    broker = config.magnetar.embedded_broker
    speaks_tls = broker is not None and broker.tls
    if not config.authentication_enabled and not speaks_tls:
        return None
    chosen = config.magnetar.instance_credentials
    shared = (
        config.broker_credentials if config.authentication_enabled and chosen == "worker" and sign is None else None
    )
    plugin, parameters = shared or ("", "")
    return Credentials(
        plugin=plugin,
        parameters=parameters,
        callers=chosen == "caller",
        sign=None if chosen == "none" else sign,
        use_tls=config.use_tls or speaks_tls,
        tls_allow_insecure=config.tls_allow_insecure_connection,
        hostname_verification=config.tls_enable_hostname_verification,
        tls_trust_cert_path=config.tls_trust_certs_file_path or "",
    )
