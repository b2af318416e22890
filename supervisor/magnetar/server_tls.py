"""The server's side of TLS, with certificates that may be renewed while it serves."""

import re
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from structlog.stdlib import BoundLogger

from magnetar.errors import StartError

_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
_Stamp = tuple[tuple[int, int, int], ...]


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

    def context(self) -> ssl.SSLContext:
        """Return how to speak TLS with the files as they are now. Raises StartError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version, context.maximum_version = _versions(self.protocols)
        # A session that is taken up again would not be judged by renewed authorities.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        try:
            if ciphers := _openssl_names(self.ciphers):
                context.set_ciphers(":".join(ciphers))
            context.load_cert_chain(self.certificate, self.key)
            if self.trust is not None and (self.asks or self.demands):
                context.load_verify_locations(self.trust)
                context.verify_mode = ssl.CERT_REQUIRED if self.demands else ssl.CERT_OPTIONAL
        except (OSError, ValueError) as error:
            names = ", ".join(str(each) for each in self._files)
            raise StartError(
                f"TLS can't be served with {names}: {error}; give PEM files, and ciphers that OpenSSL knows"
            ) from None
        return context

    @property
    def _files(self) -> tuple[Path, ...]:
        return tuple(each for each in (self.certificate, self.key, self.trust) if each is not None)

    def stamp(self) -> _Stamp:
        """Return what changes when a file is written anew. Raises OSError."""
        found = (file.stat() for file in self._files)
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)


class RenewingContext:
    """One context for a listening socket; each handshake uses the newest files that could be read."""

    def __init__(self, tls: ServerTls, logger: BoundLogger, now: Callable[[], float] = time.monotonic) -> None:
        self._tls = tls
        self._log = logger
        self._now = now
        self._stamp = _stamp(tls)
        self._current = tls.context()
        self._looked = now()
        self.context = tls.context()
        self.context.sni_callback = self._greet

    def _greet(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        # Called at the beginning of each handshake, whether or not the client names a host.
        connection.context = self.current()

    def current(self) -> ssl.SSLContext:
        """Return the context of the newest files; one that can't be read is logged, and the one before serves on."""
        now = self._now()
        if now - self._looked >= self._tls.refresh:
            self._looked = now
            self._look()
        return self._current

    def _look(self) -> None:
        stamp = _stamp(self._tls)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._current = self._tls.context()
        except StartError as error:
            self._log.warning("Renewed certificates can't be used; the ones before serve on.", reason=str(error))
        else:
            self._log.info("Renewed certificates are in use.", certificate=str(self._tls.certificate))


def _stamp(tls: ServerTls) -> _Stamp:
    try:
        return tls.stamp()
    except OSError:
        return ()


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
