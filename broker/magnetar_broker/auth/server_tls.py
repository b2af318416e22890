"""The server's side of TLS, with certificates that may be renewed while it serves: the broker's, and the worker's too."""

import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from magnetar_broker.errors import StartError

logger = logging.getLogger(__name__)

_Stamp = tuple[tuple[int, int, int], ...]


class Renewable(Protocol):
    """How TLS is spoken with some files, which may be written anew."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The files."""

    def context(self) -> ssl.SSLContext:
        """Return how to speak TLS with the files as they are now."""


@dataclass(frozen=True)
class ServerTls:
    """The files, all PEM; clients may show certificates that `authority` signed, and must where they are `demanded`."""

    certificate: Path
    key: Path
    authority: Path | None = None
    demanded: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """The files."""
        return tuple(each for each in (self.certificate, self.key, self.authority) if each is not None)

    def context(self) -> ssl.SSLContext:
        """Return how to speak TLS with the files as they are now. Raises StartError."""
        try:
            return server_context(self.certificate, self.key, self.authority, demanded=self.demanded)
        except OSError as error:
            names = ", ".join(str(each) for each in self.files)
            raise StartError(f"{names}: {error.strerror or error}; give certificates and keys in PEM") from error


def server_context(certificate: Path, key: Path, authority: Path | None, *, demanded: bool) -> ssl.SSLContext:
    """Return a context that asks for clients' certificates where there is an `authority`. Raises OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # A session that is taken up again would not be judged by a renewed authority.
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.load_cert_chain(certificate, key)
    if authority is not None:
        context.load_verify_locations(authority)
        context.verify_mode = ssl.CERT_REQUIRED if demanded else ssl.CERT_OPTIONAL
    return context


class RenewingContext:
    """A context for listening sockets; each handshake uses the newest files that could be read.

    They are looked at again after `refresh` seconds. `told` hears when new ones are in use (None), or why they can't be,
    which `unusable` is raised for: then those before serve on. Raises `unusable`.
    """

    def __init__(
        self,
        tls: Renewable,
        unusable: type[Exception],
        told: Callable[[Exception | None], None],
        refresh: float = 0.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tls = tls
        self._unusable = unusable
        self._told = told
        self._refresh = refresh
        self._now = now
        self._stamp = _stamp(tls.files)
        self._current = tls.context()
        self._looked = now()
        self.context = tls.context()
        self.context.sni_callback = self._greet

    def _greet(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        # Called at the beginning of each handshake, whether or not the client names a host.
        now = self._now()
        if now - self._looked >= self._refresh:
            self._looked = now
            self._look()
        connection.context = self._current

    def _look(self) -> None:
        stamp = _stamp(self._tls.files)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._current = self._tls.context()
        except self._unusable as error:
            self._told(error)
        else:
            self._told(None)


def tell_unusable(error: Exception | None) -> None:
    """Log why renewed files can't be used."""
    if error is not None:
        logger.warning("renewed certificates can't be used, and those before serve on: %s", error)


def _stamp(files: tuple[Path, ...]) -> _Stamp:
    """Return what changes when a file is written anew; nothing while one can't be looked at."""
    try:
        found = [file.stat() for file in files]
    except OSError:
        return ()
    return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)
