"""How the worker's own API is served."""

from pathlib import Path

from magnetar.config.security_keys import BASIC_PROVIDER, TOKEN_PROVIDER
from magnetar.config.worker import WorkerConfig
from magnetar.server_tls import ServerTls

_BY_HEADER = frozenset({TOKEN_PROVIDER, BASIC_PROVIDER})


def server_tls(config: WorkerConfig) -> ServerTls | None:
    """Return how HTTPS is served, None where `tlsEnabled` is off."""
    if not config.tls_enabled:
        return None
    trust = config.tls_trust_certs_file_path
    return ServerTls(
        certificate=Path(config.tls_certificate_file_path or ""),
        key=Path(config.tls_key_file_path or ""),
        trust=Path(trust) if trust else None,
        # Whoever is known by something else need not be asked: a browser would make its user choose a certificate.
        asks=config.authentication_enabled and not set(config.authentication_providers) <= _BY_HEADER,
        demands=config.tls_require_trusted_client_cert_on_connect,
        protocols=config.web_service_tls_protocols,
        ciphers=config.web_service_tls_ciphers,
        refresh=config.tls_cert_refresh_check_duration_sec,
    )
