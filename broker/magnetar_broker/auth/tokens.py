"""JSON web tokens as Pulsar's `AuthenticationProviderToken` checks them; the worker uses this too."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jwt
from cryptography.hazmat.primitives.serialization import load_der_public_key

from magnetar_broker.auth.keys import inlined, key_bytes
from magnetar_broker.errors import AuthenticationError, KeyFormatError

if TYPE_CHECKING:
    from jwt.types import Options

_HMAC = ("HS256", "HS384", "HS512")
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_ELLIPTIC = ("ES256", "ES384", "ES512")
_SECRET_SIZE = 32


@dataclass(frozen=True)
class TokenSettings:
    """The settings, named as Pulsar's without their `token` in front; a secret key wins over a public one."""

    secret_key: str = ""
    public_key: str = ""
    public_algorithm: str = "RS256"
    auth_claim: str = "sub"
    audience_claim: str = ""
    audience: str = ""
    allowed_clock_skew_seconds: int = 0

    @classmethod
    def from_properties(cls, properties: Mapping[str, object]) -> "TokenSettings":
        """Read Pulsar's names (`tokenSecretKey`, …), each after the value of `tokenSettingPrefix` where that is set."""
        prefix = str(properties.get("tokenSettingPrefix") or "")

        def setting(name: str, default: str = "") -> str:
            value = properties.get(prefix + name)
            return default if value is None or value == "" else str(value)

        skew = setting("tokenAllowedClockSkewSeconds", "0")
        if not skew.isdigit():
            raise KeyFormatError(f"tokenAllowedClockSkewSeconds: {skew!r} is no number of seconds")
        return cls(
            secret_key=setting("tokenSecretKey"),
            public_key=setting("tokenPublicKey"),
            public_algorithm=setting("tokenPublicAlg", "RS256"),
            auth_claim=setting("tokenAuthClaim", "sub"),
            audience_claim=setting("tokenAudienceClaim"),
            audience=setting("tokenAudience"),
            allowed_clock_skew_seconds=int(skew),
        )

    def to_properties(self) -> dict[str, str]:
        """Return Pulsar's names with what they mean whoever reads them, and wherever: a key stands there itself.

        Raises KeyFormatError.
        """
        found = {
            "tokenSecretKey": _inlined(self.secret_key),
            "tokenPublicKey": "" if self.secret_key else _inlined(self.public_key),
            "tokenPublicAlg": self.public_algorithm,
            "tokenAuthClaim": self.auth_claim,
            "tokenAudienceClaim": self.audience_claim,
            "tokenAudience": self.audience,
            "tokenAllowedClockSkewSeconds": str(self.allowed_clock_skew_seconds),
        }
        return {name: value for name, value in found.items() if value}


def _inlined(key: str) -> str:
    return inlined(key_bytes(key)) if key else ""


@dataclass(frozen=True)
class TokenIdentity:
    """Whom a token names, and until when, in seconds since 1970."""

    role: str
    expires: float | None


class TokenVerifier:
    """Checks tokens with one key. Raises KeyFormatError for settings that can't be."""

    def __init__(self, settings: TokenSettings) -> None:
        self._settings = settings
        if bool(settings.audience_claim) != bool(settings.audience):
            raise KeyFormatError("tokenAudienceClaim and tokenAudience belong together: set both or neither")
        if settings.secret_key:
            self._key: object = _secret(settings.secret_key)
            self._algorithms: tuple[str, ...] = _HMAC
        elif settings.public_key:
            self._algorithms = _family(settings.public_algorithm)
            self._key = _public(settings.public_key)
        else:
            raise KeyFormatError("no key for tokens: set tokenSecretKey or tokenPublicKey")

    def verify(self, token: str) -> TokenIdentity:
        """Return whom a token names. Raises AuthenticationError, with the cause, for one that does not hold."""
        options: Options = {"verify_aud": False, "verify_sub": False, "verify_iat": False, "verify_jti": False}
        try:
            claims = jwt.decode(
                token.strip(),
                self._key,  # type: ignore[arg-type]
                algorithms=list(self._algorithms),
                leeway=self._settings.allowed_clock_skew_seconds,
                options=options,
            )
        except jwt.PyJWTError as error:
            raise AuthenticationError(f"Failed to authentication token: {error}") from None
        self._demand_audience(claims)
        expires = claims.get("exp")
        return TokenIdentity(self._role(claims), float(expires) if isinstance(expires, int | float) else None)

    def _demand_audience(self, claims: Mapping[str, object]) -> None:
        claim, wanted = self._settings.audience_claim, self._settings.audience
        if not claim:
            return
        found = claims.get(claim)
        if found != wanted and not (isinstance(found, list) and wanted in found):
            raise AuthenticationError(f"Audiences in token: [{found}] not contains this broker: {wanted}")

    def _role(self, claims: Mapping[str, object]) -> str:
        found = claims.get(self._settings.auth_claim)
        if isinstance(found, list):
            found = found[0] if found else None
        if not isinstance(found, str) or not found:
            raise AuthenticationError(f"the token has no role: its claim {self._settings.auth_claim!r} is missing")
        return found


def _secret(text: str) -> bytes:
    key = key_bytes(text)
    if len(key) < _SECRET_SIZE:
        raise KeyFormatError(f"tokenSecretKey has {len(key)} bytes; HS256 needs {_SECRET_SIZE} or more")
    return key


def _public(text: str) -> object:
    data = key_bytes(text)
    try:
        return load_der_public_key(data)
    except ValueError:
        form = "PEM; convert it with openssl" if data.startswith(b"-----BEGIN") else "something else"
        raise KeyFormatError(f"tokenPublicKey is no DER SubjectPublicKeyInfo but {form}") from None


def _family(algorithm: str) -> tuple[str, ...]:
    for family in (_RSA, _ELLIPTIC):
        if algorithm in family:
            return family
    raise KeyFormatError(f"tokenPublicAlg: {algorithm!r} is none; there are {', '.join((*_RSA, *_ELLIPTIC))}")
