"""The server's side of TLS, with certificates that may be renewed while it serves."""

import re
import ssl
from dataclasses import dataclass
from pathlib import Path

from magnetar_broker.auth.server_tls import RenewingContext, server_context
from structlog.stdlib import BoundLogger

from magnetar.errors import StartError

_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}


@dataclass(frozen=True)
class ServerTls:
    """What a server shows and whom it asks for certificates; files are PEM.

    `asks` wants a client's certificate where it has one, `demands` refuses clients without. `protocols` and `ciphers` are
    in the names of Java or of OpenSSL; none: all that are safe. Files are looked at again after `refresh` seconds.
    """

    certificate: Path
    key: Path
    trust: Path | None = None
    asks: bool = False
    demands: bool = False
    protocols: frozenset[str] = frozenset()
    ciphers: frozenset[str] = frozenset()
    refresh: float = 300.0

    @property
    def files(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(each for each in (self.certificate, self.key, self.trust) if each is not None)

    def context(self) -> ssl.SSLContext:
        """Return how to speak TLS with the files as they are now. Raises StartError."""
        least, most = _versions(self.protocols)
        trust = self.trust if self.asks or self.demands else None
        try:
            context = server_context(self.certificate, self.key, trust, demanded=self.demands)
            context.minimum_version, context.maximum_version = least, most
            if ciphers := _openssl_names(self.ciphers):
                context.set_ciphers(":".join(ciphers))
        except (OSError, ValueError) as error:
            names = ", ".join(str(each) for each in self.files)
            raise StartError(
                f"TLS can't be served with {names}: {error}; give PEM files, and ciphers that OpenSSL knows"
            ) from None
        return context


def renewing(tls: ServerTls, logger: BoundLogger) -> ssl.SSLContext:
    """Return a context for a listening socket; each handshake uses the newest files that can be read. Raises StartError."""

    def told(error: Exception | None) -> None:
        if error is None:
            logger.info("Renewed certificates are in use.", certificate=str(tls.certificate))
        else:
            logger.warning("Renewed certificates can't be used; the ones before serve on.", reason=str(error))

    return RenewingContext(tls, StartError, told, tls.refresh).context


def _versions(protocols: frozenset[str]) -> tuple[ssl.TLSVersion, ssl.TLSVersion]:
    strangers = protocols - set(_VERSIONS)
    if strangers:
        raise StartError(
            f"webServiceTlsProtocols: {', '.join(sorted(strangers))} is not spoken; choose of {', '.join(_VERSIONS)}"
        )
    chosen = [_VERSIONS[each] for each in protocols or _VERSIONS]
    return min(chosen), max(chosen)


def _openssl_names(ciphers: frozenset[str]) -> list[str]:
    """Return the ciphers of TLS 1.2 in OpenSSL's names; those of TLS 1.3 are always on."""
    return [_openssl_name(each) for each in sorted(ciphers) if "_WITH_" in each or not each.startswith("TLS_")]


def _openssl_name(cipher: str) -> str:
    """Translate Java's `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` to `ECDHE-RSA-AES128-GCM-SHA256`."""
    if "_WITH_" not in cipher:
        return cipher
    exchange, _, bulk = cipher.removeprefix("TLS_").partition("_WITH_")
    bulk = re.sub(r"AES_(\d+)", r"AES\1", bulk).replace("_CBC_", "_").replace("POLY1305_SHA256", "POLY1305")
    return "-".join([*([] if exchange == "RSA" else exchange.split("_")), *bulk.split("_")])
