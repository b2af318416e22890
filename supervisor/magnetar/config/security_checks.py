"""What keys about security demand of each other: half a configuration would protect nothing. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from magnetar_broker.loopback import is_loopback

from magnetar.config.security_keys import BASIC_PROVIDER, TOKEN_PROVIDER

Problem = tuple[str, str]
_OPEN = (
    "magnetar.embeddedBroker.host {} can be reached by others, and the broker would ask nobody for credentials: "
    "set authenticationEnabled, or let it listen on 127.0.0.1"
)
_CLOSED = (
    "magnetar.instanceCredentials is 'none', and the embedded broker asks for credentials: no function could run; "
    "use 'caller'"
)
_TOKEN_KEYS = ("tokenSecretKey", "tokenPublicKey")


def security_problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield each key that lacks another one, with a sentence that names what to add."""
    yield from _authentication(values)
    yield from _tls(values)
    yield from _instances(values)
    yield from _own_broker(values)


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


def _own_broker(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what would leave the broker that the worker brings along open to others, or closed to its functions."""
    block = values.get("magnetar")
    broker = block.get("embeddedBroker") if isinstance(block, Mapping) else None
    if not isinstance(block, Mapping) or not isinstance(broker, Mapping):
        return
    if broker.get("brokerServicePortTls") is not None:
        for key in ("tlsCertificateFilePath", "tlsKeyFilePath"):
            if values.get(key) in (None, ""):
                yield "magnetar", f"magnetar.embeddedBroker.brokerServicePortTls needs {key}: give it"
    host, asks = str(broker.get("host") or "127.0.0.1"), values.get("authenticationEnabled") is True
    if not asks and not is_loopback(host):
        yield "magnetar", _OPEN.format(host)
    if asks and block.get("instanceCredentials") == "none":
        yield "magnetar", _CLOSED
