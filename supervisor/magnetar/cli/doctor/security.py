"""Looks at who may ask a worker: whether its keys and certificates can be read, and whether that is anyone."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from magnetar.cli.doctor.findings import Finding, Verdict
from magnetar.errors import StartError

if TYPE_CHECKING:
    from magnetar.config import WorkerConfig

_SOON = 14


def look_at_security(config: "WorkerConfig") -> Iterator[Finding]:
    """Judge what a config says of authentication and TLS."""
    yield _look_at_callers(config)
    if config.tls_enabled:
        yield _look_at_certificate(config)


def _look_at_callers(config: "WorkerConfig") -> Finding:
    from magnetar_broker.loopback import is_loopback  # noqa: PLC0415

    from magnetar.access import load_authentication  # noqa: PLC0415 - keeps help quick

    what = "authenticationEnabled"
    try:
        known = load_authentication(config)
    except StartError as error:
        return Finding(what, Verdict.FAILURE, str(error), "correct it: the worker would not start")
    if known is not None:
        return Finding(what, Verdict.OK, f"requests show who asks, by {', '.join(sorted(known.methods))}")
    host = config.magnetar.bind_address
    if is_loopback(host):
        return Finding(what, Verdict.OK, f"off: whoever is on this host may run code by {host}")
    remedy = "docs/security.md tells how to ask for tokens; or listen on loopback with magnetar.bindAddress"
    return Finding(what, Verdict.WARNING, f"off: whoever reaches {host} may run code here", remedy)


def _look_at_certificate(config: "WorkerConfig") -> Finding:
    from cryptography import x509  # noqa: PLC0415 - keeps help quick

    from magnetar.worker_settings import server_tls  # noqa: PLC0415

    what, tls = "tlsCertificateFilePath", server_tls(config)
    assert tls is not None
    try:
        tls.context()
        certificate = x509.load_pem_x509_certificate(tls.certificate.read_bytes())
    except (StartError, OSError, ValueError) as error:
        return Finding(what, Verdict.FAILURE, str(error), "correct it: the worker would not start")
    days = (certificate.not_valid_after_utc - datetime.now(UTC)).days
    detail = f"valid until {certificate.not_valid_after_utc:%Y-%m-%d}, {days} days"
    if days >= _SOON:
        return Finding(what, Verdict.OK, detail)
    return Finding(what, Verdict.WARNING, detail, "renew it; the worker takes it up without a restart")
