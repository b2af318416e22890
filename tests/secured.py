"""A `magnetar standalone` that wants to know who asks, over TLS; and who may ask it."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import jwt
from certificates import Authority
from magnetar.config.security_keys import TLS_PROVIDER, TOKEN_PROVIDER
from standalone import Standalone, standalone

SECRET = b"0123456789abcdef0123456789abcdef"


def token_of(role: str) -> str:
    return jwt.encode({"sub": role}, SECRET, "HS256")


@dataclass(frozen=True)
class Secured:
    """The worker, and the authority that it and its clients trust."""

    worker: Standalone
    authority: Authority

    @property
    def url(self) -> str:
        return str(self.worker.addresses["https"]).replace("127.0.0.1", "localhost")


def tls_keys(authority: Authority, name: str) -> dict[str, object]:
    """Return the keys of a worker that speaks HTTPS alone, with a certificate of its own."""
    certificate, key = authority.issue(name)
    return {
        "workerPort": None,
        "workerPortTls": 0,
        "tlsEnabled": True,
        "tlsCertificateFilePath": str(certificate),
        "tlsKeyFilePath": str(key),
        "tlsTrustCertsFilePath": str(authority.certificate),
    }


@contextmanager
def secured(folder: Path) -> Iterator[Secured]:
    """Run one whose super users are `root` and `worker`; it takes tokens and certificates."""
    authority = Authority(folder)
    config = folder / "functions_worker.yml"
    keys = {
        **tls_keys(authority, "server"),
        "authenticationEnabled": True,
        "authorizationEnabled": True,
        "authenticationProviders": [TOKEN_PROVIDER, TLS_PROVIDER],
        "superUserRoles": ["root", "worker"],
        "properties": {"tokenSecretKey": base64.b64encode(SECRET).decode()},
    }
    config.write_text(json.dumps(keys))
    with standalone(folder / "data", "--config", str(config)) as worker:
        yield Secured(worker, authority)
