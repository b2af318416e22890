"""What keys about security demand of each other: half a configuration would protect nothing. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from magnetar.config.security_keys import BASIC_PROVIDER, TOKEN_PROVIDER

Problem = tuple[str, str]
_TOKEN_KEYS = ("tokenSecretKey", "tokenPublicKey")


def security_problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield each key that lacks another one, with a sentence that names what to add."""
    yield from _authentication(values)
    yield from _tls(values)
    yield from _instances(values)


def _authentication(values: Mapping[str, Any]) -> Iterator[Problem]:
    on, providers = values.get("authenticationEnabled") is True, values.get("authenticationProviders")
    if on and not providers:
        yield (
            "authenticationEnabled",
            f"authenticationEnabled is true and authenticationProviders is empty: name a provider, such as {TOKEN_PROVIDER}",
        )
    if values.get("authorizationEnabled") is True and not on:
        yield (
            "authorizationEnabled",
            "authorizationEnabled is true without authenticationEnabled: nobody would be allowed anything; set both",
        )
    named = providers if on and isinstance(providers, list | tuple | set | frozenset) else ()
    properties = values.get("properties")
    given = properties if isinstance(properties, Mapping) else {}
    prefix = str(given.get("tokenSettingPrefix") or "")
    if TOKEN_PROVIDER in named and not any(given.get(prefix + key) for key in _TOKEN_KEYS):
        keys = " or ".join(prefix + key for key in _TOKEN_KEYS)
        yield "authenticationProviders", f"authenticationProviders names tokens: properties needs {keys}"
    if BASIC_PROVIDER in named and not given.get("basicAuthConf"):
        yield "authenticationProviders", "authenticationProviders names passwords: properties needs basicAuthConf"


def _tls(values: Mapping[str, Any]) -> Iterator[Problem]:
    on = values.get("tlsEnabled") is True
    if on:
        for key in ("workerPortTls", "tlsCertificateFilePath", "tlsKeyFilePath"):
            if values.get(key) in (None, ""):
                yield "tlsEnabled", f"tlsEnabled is true and {key} is empty: give it"
    elif "workerPort" in values and values["workerPort"] is None:
        yield "workerPort", "workerPort is empty and tlsEnabled is not set: give a port, or serve TLS alone"
    demanded = values.get("tlsRequireTrustedClientCertOnConnect") is True
    if demanded and not (on and values.get("tlsTrustCertsFilePath")):
        yield (
            "tlsRequireTrustedClientCertOnConnect",
            "tlsRequireTrustedClientCertOnConnect needs tlsEnabled, and tlsTrustCertsFilePath to judge certificates by",
        )


def _instances(values: Mapping[str, Any]) -> Iterator[Problem]:
    block = values.get("magnetar")
    own = block.get("instanceCredentials") if isinstance(block, Mapping) else None
    plugin = str(values.get("brokerClientAuthenticationPlugin") or values.get("clientAuthenticationPlugin") or "")
    if own == "worker" and plugin.lower().endswith("basic"):
        yield (
            "magnetar",
            "magnetar.instanceCredentials is 'worker', whose password would stand on command lines: use a token or TLS",
        )
