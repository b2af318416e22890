"""Who a client is: by a token, a password or its TLS certificate, as the broker was told to ask for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from magnetar_broker.errors import AuthenticationError

if TYPE_CHECKING:
    from magnetar_broker.auth.passwords import Passwords
    from magnetar_broker.auth.tokens import TokenIdentity, TokenVerifier

Certificate = Mapping[str, object]
TOKEN, TLS, BASIC = "token", "tls", "basic"


@dataclass(frozen=True)
class Identity:
    """Who a client is, as its credentials say; `expires` is in seconds since 1970.

    `owner`: by a token of the program that runs the broker.
    """

    role: str
    method: str
    expires: float | None = None
    owner: bool = False

    def expired(self, now: float) -> bool:
        """Whether the credentials hold no more."""
        return self.expires is not None and self.expires <= now


@dataclass(frozen=True)
class Authenticator:
    """Checks credentials by the methods that are on; with none on, everyone may do everything.

    `owner` checks the tokens of the program that runs the broker, which are taken beside all others.
    """

    tokens: "TokenVerifier | None" = None
    certificates: bool = False
    passwords: "Passwords | None" = None
    owner: "TokenVerifier | None" = None

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of what is taken, as clients know it."""
        known = {TOKEN: self.tokens or self.owner, TLS: self.certificates, BASIC: self.passwords}
        return tuple(name for name, on in known.items() if on)

    @property
    def enabled(self) -> bool:
        """Whether credentials are asked for."""
        return bool(self.methods)

    def identify(self, method: str, data: bytes, certificate: Certificate | None) -> Identity:
        """Return who a client of the binary protocol is. Raises AuthenticationError."""
        if method == TOKEN and TOKEN in self.methods:
            return self._of_token(data.decode("latin-1"))
        if method == BASIC and self.passwords is not None:
            return Identity(self.passwords.user(data), BASIC)
        if self.certificates and certificate and method in {TLS, "", "none"}:
            return _of_certificate(certificate)
        if method == TLS and self.certificates:
            raise AuthenticationError("the client sent no TLS certificate")
        known = ", ".join(self.methods)
        raise AuthenticationError(f"Unsupported authentication method: {method or 'none'}; this broker takes {known}")

    def identify_request(self, headers: Mapping[str, str], certificate: Certificate | None) -> Identity:
        """Return who sent an HTTP request. Raises AuthenticationError."""
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        if scheme == "Basic" and self.passwords is not None:
            return Identity(self.passwords.user_of(shown), BASIC)
        if shown and TOKEN in self.methods:
            if scheme != "Bearer":
                raise AuthenticationError("Invalid HTTP Authorization header: it must be `Bearer` and a token")
            return self._of_token(shown)
        if self.certificates and certificate:
            return _of_certificate(certificate)
        raise AuthenticationError("Authentication required")

    def _of_token(self, token: str) -> Identity:
        if self.owner is not None:
            try:
                return replace(_of(self.owner.verify(token)), owner=True)
            except AuthenticationError:
                if self.tokens is None:
                    raise
        assert self.tokens is not None
        return _of(self.tokens.verify(token))


def _of(token: "TokenIdentity") -> Identity:
    return Identity(token.role, TOKEN, token.expires)


def _of_certificate(certificate: Certificate) -> Identity:
    """Read the role: the first common name of the subject that is not empty."""
    for relative_name in cast("Iterable[Iterable[tuple[str, str]]]", certificate.get("subject", ())):
        for key, value in relative_name:
            if key == "commonName" and value:
                return Identity(value, TLS)
    raise AuthenticationError("the client's certificate has no common name")
