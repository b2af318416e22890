"""What a request shows of its sender, and what is made of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

Certificate = Mapping[str, object]
"""A client's verified certificate, as `ssl.SSLSocket.getpeercert` returns it."""

METHOD_HEADER = "x-pulsar-auth-method-name"
ORIGINAL_PRINCIPAL_HEADER = "x-original-principal"


@dataclass(frozen=True)
class Presented:
    """What a request brings to be known by; the names of its headers are in lower case."""

    headers: Mapping[str, str]
    certificate: Certificate | None = None

    def authorization(self, scheme: str) -> str | None:
        """Return what stands behind a scheme in the header Authorization, None where it is another or absent."""
        found, _, value = self.headers.get("authorization", "").partition(" ")
        return value.strip() if found.lower() == scheme.lower() else None


@dataclass(frozen=True)
class Caller:
    """Who sent a request; nobody in particular while requests are not authenticated.

    `original` is whom a proxy asks for, where the request names someone. `token` is what the caller itself showed, and may
    be handed to a function that it creates.
    """

    role: str | None = None
    method: str = ""
    original: str | None = None
    token: str | None = field(default=None, repr=False)


NOBODY = Caller()


class AuthenticationProvider(Protocol):
    """What a class named by `authenticationProviders` implements; made with `properties` of the worker's config."""

    @property
    def method(self) -> str:
        """The name that clients send in the header X-Pulsar-Auth-Method-Name, such as `token`."""

    def authenticate(self, presented: Presented) -> str:
        """Return the role of who sent a request. Raises NotAuthenticatedError, with the cause."""
