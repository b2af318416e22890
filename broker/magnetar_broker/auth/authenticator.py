"""Who a client is: by a token or by its TLS certificate, as the broker was told to ask for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from magnetar_broker.errors import AuthenticationError

if TYPE_CHECKING:
    from magnetar_broker.auth.tokens import TokenVerifier

Certificate = Mapping[str, object]
TOKEN, TLS = "token", "tls"


@dataclass(frozen=True)
class Identity:
    """Who a client is, as its credentials say; `expires` is in seconds since 1970."""

    role: str
    method: str
    expires: float | None = None

    def expired(self, now: float) -> bool:
        """Whether the credentials hold no more."""
        return self.expires is not None and self.expires <= now


@dataclass(frozen=True)
class Authenticator:
    """Checks credentials by the methods that are on; with none on, everyone may do everything."""

    tokens: "TokenVerifier | None" = None
    certificates: bool = False

    @property
    def enabled(self) -> bool:
        """Whether credentials are asked for."""
        return self.tokens is not None or self.certificates

    def identify(self, method: str, data: bytes, certificate: Certificate | None) -> Identity:
        """Return who a client of the binary protocol is. Raises AuthenticationError."""
        if method == TOKEN and self.tokens is not None:
            return self._of_token(data.decode("latin-1"))
        if self.certificates and certificate and method in {TLS, "", "none"}:
            return _of_certificate(certificate)
        if method == TLS and self.certificates:
            raise AuthenticationError("the client sent no TLS certificate")
        known = ", ".join(name for name, on in ((TOKEN, self.tokens), (TLS, self.certificates)) if on)
        raise AuthenticationError(f"Unsupported authentication method: {method or 'none'}; this broker takes {known}")

    def identify_request(self, headers: Mapping[str, str], certificate: Certificate | None) -> Identity:
        """Return who sent an HTTP request. Raises AuthenticationError."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if self.tokens is not None and token:
            if scheme != "Bearer":
                raise AuthenticationError("Invalid HTTP Authorization header: it must be `Bearer` and a token")
            return self._of_token(token)
        if self.certificates and certificate:
            return _of_certificate(certificate)
        raise AuthenticationError("Authentication required")

    def _of_token(self, token: str) -> Identity:
        assert self.tokens is not None
        found = self.tokens.verify(token)
        return Identity(found.role, TOKEN, found.expires)


def _of_certificate(certificate: Certificate) -> Identity:
    """Read the role: the first common name of the subject that is not empty."""
    for relative_name in cast("Iterable[Iterable[tuple[str, str]]]", certificate.get("subject", ())):
        for key, value in relative_name:
            if key == "commonName" and value:
                return Identity(value, TLS)
    raise AuthenticationError("the client's certificate has no common name")
