"""From Pulsar's keys of authentication to what checks credentials."""

from collections.abc import Mapping

from magnetar_broker.auth.authenticator import Authenticator
from magnetar_broker.auth.passwords import PASSWORDS, Passwords
from magnetar_broker.auth.security_file import OWNER_SECRET
from magnetar_broker.auth.tokens import TokenSettings, TokenVerifier


def configured(properties: Mapping[str, object], *, certificates: bool) -> Authenticator:
    """Return what checks credentials. Raises KeyFormatError for keys that can't be."""
    tokens = TokenSettings.from_properties(properties)
    owner = properties.get(OWNER_SECRET)
    return Authenticator(
        tokens=TokenVerifier(tokens) if tokens.secret_key or tokens.public_key else None,
        certificates=certificates,
        passwords=Passwords.from_properties(properties) if properties.get(PASSWORDS) else None,
        owner=TokenVerifier(TokenSettings(secret_key=str(owner))) if owner else None,
    )
