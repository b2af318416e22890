"""The command line's options of authentication and TLS."""

import argparse
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from magnetar_broker.auth.authenticator import TLS, Authenticator
from magnetar_broker.auth.security_file import AUTHORIZATION, SUPER_USERS, TLS_KEYS, read_security_file, super_users_of
from magnetar_broker.auth.server_tls import RenewingContext, ServerTls, tell_unusable
from magnetar_broker.errors import KeyFormatError, StartError


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    group = parser.add_argument_group("authentication and TLS (off by default; a key may be a path, data: or base64)")
    group.add_argument("--token-secret-key", default="", help="accept tokens signed with this secret")
    group.add_argument("--token-public-key", default="", help="accept tokens signed with this key's private half (DER)")
    group.add_argument("--token-public-alg", default="RS256", help="the algorithm of --token-public-key")
    group.add_argument("--token-auth-claim", default="sub", help="the claim that names the role")
    group.add_argument("--token-audience-claim", default="", help="the claim that names the audience")
    group.add_argument("--token-audience", default="", help="what --token-audience-claim must hold")
    group.add_argument(
        "--security-file", type=Path, help="a JSON file with Pulsar's keys of tokens, passwords, permissions and TLS"
    )
    group.add_argument("--tls-cert", type=Path, help="serve TLS on both ports with this certificate (PEM)")
    group.add_argument("--tls-key", type=Path, help="the private key of --tls-cert (PEM)")
    group.add_argument("--tls-client-ca", type=Path, help="accept clients by certificates that this authority signed")
    group.add_argument("--insecure", action="store_true", help="listen beyond loopback without authentication")


@dataclass(frozen=True)
class TlsFiles:
    """The files of TLS that were named."""

    certificate: Path | None = None
    key: Path | None = None
    authority: Path | None = None


@dataclass(frozen=True)
class Security:
    """What checks credentials, the roles that may do everything (None: all roles may), and how TLS is spoken."""

    authenticator: Authenticator
    super_users: frozenset[str] | None = None
    tls: TlsFiles = TlsFiles()


def security_of(options: argparse.Namespace) -> Security:
    """Return whom the broker lets in, and to what. Raises StartError."""
    properties = _given(options)
    tls = _tls_files(options, properties)
    authenticator = _authenticator(properties, certificates=tls.authority is not None)
    super_users = super_users_of(properties)
    if super_users is not None and not authenticator.enabled:
        raise StartError(
            f"{options.security_file}: {AUTHORIZATION} is true and nobody is asked who he is: "
            "give a key of tokens, passwords, or --tls-client-ca"
        )
    return Security(authenticator, super_users, tls)


def _given(options: argparse.Namespace) -> Mapping[str, object]:
    properties = _properties(options)
    if options.security_file is not None:
        if properties:
            raise StartError(
                "--security-file holds the keys of tokens, too: leave --token-secret-key and the like away"
            )
        properties = read_security_file(options.security_file)
    return properties


def _authenticator(properties: Mapping[str, object], *, certificates: bool) -> Authenticator:
    if not properties.keys() - {AUTHORIZATION, SUPER_USERS, *TLS_KEYS}:
        return Authenticator(None, certificates)
    # Without tokens the broker does without the libraries that check them: they cost a third of its start.
    from magnetar_broker.auth.configured import configured  # noqa: PLC0415

    try:
        return configured(properties, certificates=certificates)
    except KeyFormatError as error:
        raise StartError(str(error)) from error


def _properties(options: argparse.Namespace) -> Mapping[str, object]:
    """Return the options of tokens under Pulsar's names; none without a key."""
    if not options.token_secret_key and not options.token_public_key:
        return {}
    return {
        "tokenSecretKey": options.token_secret_key,
        "tokenPublicKey": options.token_public_key,
        "tokenPublicAlg": options.token_public_alg,
        "tokenAuthClaim": options.token_auth_claim,
        "tokenAudienceClaim": options.token_audience_claim,
        "tokenAudience": options.token_audience,
    }


def tls_context_of(security: Security) -> ssl.SSLContext | None:
    """Return the server's side of TLS, None where it is off. Raises StartError."""
    tls = security.tls
    if (tls.certificate is None) != (tls.key is None):
        raise StartError("--tls-cert and --tls-key belong together: give both or neither")
    if tls.certificate is None or tls.key is None:
        if tls.authority is not None:
            raise StartError("--tls-client-ca needs --tls-cert and --tls-key: certificates travel over TLS")
        return None
    demanded = security.authenticator.methods == (TLS,)
    files = ServerTls(tls.certificate, tls.key, tls.authority, demanded=demanded)
    return RenewingContext(files, StartError, tell_unusable).context


def _tls_files(options: argparse.Namespace, properties: Mapping[str, object]) -> TlsFiles:
    given = (options.tls_cert, options.tls_key, options.tls_client_ca)
    named = [properties.get(key) for key in TLS_KEYS]
    if any(given) and any(named):
        raise StartError("--security-file names files of TLS, too: leave --tls-cert and the like away")
    return TlsFiles(*(Path(str(name)) if name else path for path, name in zip(given, named, strict=True)))
