"""Keys of authentication in a file: a command line is for everyone on the host to see."""

import json
from collections.abc import Mapping
from pathlib import Path

from magnetar_broker.auth.passwords import PASSWORDS
from magnetar_broker.errors import StartError

OWNER_SECRET = "ownerSecretKey"  # noqa: S105 - a name
"""The secret of the program that runs the broker; tokens signed with it are taken beside all others."""
OWNER_ROLE = "magnetar-worker"
"""The role of that program; its other tokens are of functions, which have their full names as roles."""
TOKEN_KEYS = (
    *("tokenSecretKey", "tokenPublicKey", "tokenPublicAlg", "tokenAuthClaim"),
    *("tokenAudienceClaim", "tokenAudience", "tokenAllowedClockSkewSeconds"),
)
AUTHORIZATION, SUPER_USERS = "authorizationEnabled", "superUserRoles"
TLS_KEYS = ("tlsCertificateFilePath", "tlsKeyFilePath", "tlsTrustCertsFilePath")
_KNOWN = (*TOKEN_KEYS, PASSWORDS, OWNER_SECRET, AUTHORIZATION, SUPER_USERS, *TLS_KEYS)


def read_security_file(path: Path) -> Mapping[str, object]:
    """Return the keys of a file. Raises StartError for one that can't be used."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StartError(f"{path}: {error.strerror}; name a file that can be read") from error
    except ValueError as error:
        raise StartError(f"{path}: no JSON: {error}") from error
    if not isinstance(found, dict) or not found:
        raise StartError(f"{path}: give an object with some of {', '.join(_KNOWN)}")
    for key in found:
        if key not in _KNOWN:
            raise StartError(f"{path}: {key!r} is none of {', '.join(_KNOWN)}")
    return found


def super_users_of(properties: Mapping[str, object]) -> frozenset[str] | None:
    """Return the roles that may do everything; None where permissions are not judged. Raises StartError."""
    on, named = properties.get(AUTHORIZATION, False), properties.get(SUPER_USERS, [])
    if not isinstance(on, bool):
        raise StartError(f"{AUTHORIZATION}: {on!r} is neither true nor false")
    roles = [each.strip() for each in named.split(",")] if isinstance(named, str) else named
    if not isinstance(roles, list) or not all(isinstance(each, str) for each in roles):
        raise StartError(f"{SUPER_USERS}: {named!r} is no list of roles")
    return frozenset(filter(None, roles)) if on else None
