"""Whom the broker that a worker brings along lets in: whom the worker knows, the worker itself, and its functions."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from magnetar_broker.auth.keys import inlined, key_bytes
from magnetar_broker.auth.security_file import OWNER_ROLE, OWNER_SECRET

from magnetar.processes.identity import read_record, write_private

_SECRET_SIZE = 32


@dataclass(frozen=True)
class BrokerSecurity:
    """The keys that the broker is told: those of the worker's own providers, its super users, and one that it signs with.

    Tokens of the last kind open the broker and nothing else: the worker itself does not take them.
    """

    properties: Mapping[str, object] = field(repr=False)

    @classmethod
    def known(cls, providers: Mapping[str, object], kept: Path | None) -> "BrokerSecurity":
        """Return the keys of some providers with one to sign with: that of the file `kept`, or a new one."""
        secret = _kept_secret(kept) if kept else ""
        return cls({**providers, OWNER_SECRET: secret or inlined(secrets.token_bytes(_SECRET_SIZE))})

    @property
    def asks(self) -> bool:
        """Whether anybody is asked who he is."""
        return OWNER_SECRET in self.properties

    @property
    def workers_token(self) -> str:
        """A token in the name of the worker, which may do everything."""
        return self.token(OWNER_ROLE)

    def token(self, role: str) -> str:
        """Return a token in the name of a function; it holds as long as the key does."""
        import jwt  # noqa: PLC0415 - what signs takes longer to import than all else of a start that needs none

        return jwt.encode({"sub": role}, key_bytes(str(self.properties[OWNER_SECRET])), "HS256")

    @property
    def text(self) -> str:
        """The content of the file that the broker reads."""
        return json.dumps(dict(self.properties), sort_keys=True)


def _kept_secret(file: Path) -> str:
    secret = read_record(file).get(OWNER_SECRET)
    return secret if isinstance(secret, str) else ""


def write_security(file: Path, security: BrokerSecurity | None) -> bool:
    """Write the file for this user alone, or remove it where nobody is asked; tells whether that changed anything.

    Raises OSError.
    """
    wanted = None if security is None else security.text
    if wanted == _content(file):
        return False
    if wanted is None:
        file.unlink(missing_ok=True)
    else:
        write_private(file, wanted)
    return True


def _content(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return None
