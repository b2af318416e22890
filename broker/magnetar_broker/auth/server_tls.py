"""The server's side of TLS, with certificates that may be renewed while it serves."""

import logging
import ssl
from dataclasses import dataclass
from pathlib import Path

from magnetar_broker.errors import StartError

logger = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class ServerTls:
    """The files, all PEM; clients may show certificates that `authority` signed, and must where they are `demanded`."""

    certificate: Path
    key: Path
    authority: Path | None = None
    demanded: bool = False

    @property
    def _files(self) -> tuple[Path, ...]:
        return tuple(each for each in (self.certificate, self.key, self.authority) if each is not None)

    def context(self) -> ssl.SSLContext:
        """Return how to speak TLS with the files as they are now. Raises StartError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A session that is taken up again would not be judged by a renewed authority.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.authority is not None:
                context.load_verify_locations(self.authority)
                context.verify_mode = ssl.CERT_REQUIRED if self.demanded else ssl.CERT_OPTIONAL
        except OSError as error:
            names = ", ".join(str(each) for each in self._files)
            raise StartError(f"{names}: {error.strerror or error}; give certificates and keys in PEM") from error
        return context

    def stamp(self) -> _Stamp:
        """Return what changes when a file is written anew; nothing while one can't be looked at."""
        try:
            found = [file.stat() for file in self._files]
        except OSError:
            return ()
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)


class RenewingContext:
    """A context for listening sockets; each handshake uses the newest files that could be read. Raises StartError."""

    def __init__(self, tls: ServerTls) -> None:
        self._tls = tls
        self._stamp = tls.stamp()
        self._current = tls.context()
        self.context = tls.context()
        self.context.sni_callback = self._greet

    def _greet(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        # Called at the beginning of each handshake, whether or not the client names a host.
        stamp = self._tls.stamp()
        if stamp and stamp != self._stamp:
            self._stamp = stamp
            try:
                self._current = self._tls.context()
            except StartError as error:
                logger.warning("renewed certificates can't be used, and those before serve on: %s", error)
        connection.context = self._current
