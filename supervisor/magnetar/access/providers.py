"""Pulsar's own ways to know a client: by a token, by a TLS certificate, by a password."""

from collections.abc import Iterable, Mapping
from typing import cast

from magnetar_broker.auth.passwords import Passwords
from magnetar_broker.auth.tokens import TokenSettings, TokenVerifier
from magnetar_broker.errors import AuthenticationError, KeyFormatError

from magnetar.access.base import Presented
from magnetar.errors import NotAuthenticatedError, StartError

TOKEN, TLS, BASIC = "token", "tls", "basic"


class TokenProvider:
    """A JSON web token behind `Authorization: Bearer`, judged by `tokenSecretKey` or `tokenPublicKey`."""

    method = TOKEN

    def __init__(self, properties: Mapping[str, object]) -> None:
        try:
            self._verifier = TokenVerifier(TokenSettings.from_properties(properties))
        except KeyFormatError as error:
            raise StartError(f"properties, for AuthenticationProviderToken: {error}") from None

    def authenticate(self, presented: Presented) -> str:
        """Return the role that the token's claim names."""
        token = presented.authorization("Bearer")
        if not token:
            raise NotAuthenticatedError("the request has no token: send `Authorization: Bearer` and the token")
        try:
            return self._verifier.verify(token).role
        except AuthenticationError as error:
            raise NotAuthenticatedError(str(error)) from None


class TlsProvider:
    """The client's certificate, which the authorities of `tlsTrustCertsFilePath` vouch for."""

    method = TLS

    def __init__(self, properties: Mapping[str, object]) -> None:
        pass

    def authenticate(self, presented: Presented) -> str:
        """Return the first common name of the certificate's subject that is not empty."""
        if not presented.certificate:
            raise NotAuthenticatedError("the client sent no certificate, or did not ask over HTTPS")
        for relative_name in cast("Iterable[Iterable[tuple[str, str]]]", presented.certificate.get("subject", ())):
            for key, value in relative_name:
                if key == "commonName" and value:
                    return value
        raise NotAuthenticatedError("the client's certificate has no common name")


class BasicProvider:
    """A name and a password behind `Authorization: Basic`, judged by the file that `basicAuthConf` names."""

    method = BASIC

    def __init__(self, properties: Mapping[str, object]) -> None:
        try:
            self._passwords = Passwords.from_properties(properties)
        except KeyFormatError as error:
            raise StartError(f"properties, for AuthenticationProviderBasic: {error}") from None

    def authenticate(self, presented: Presented) -> str:
        """Return the user's name."""
        pair = presented.authorization("Basic")
        if not pair:
            raise NotAuthenticatedError("the request has no password: send `Authorization: Basic` and user:password")
        try:
            return self._passwords.user_of(pair)
        except AuthenticationError as error:
            raise NotAuthenticatedError(str(error)) from None
