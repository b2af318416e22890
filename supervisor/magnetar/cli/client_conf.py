"""Pulsar's client.conf, a Java properties file."""

from dataclasses import dataclass
from pathlib import Path

from magnetar.cli.errors import UsageError


@dataclass(frozen=True)
class ClientConf:
    """What Pulsar's tools read from a client.conf; an empty value counts as absent."""

    web_service_url: str | None = None
    auth_plugin: str | None = None
    auth_params: str | None = None
    tls_trust_certs_file_path: str | None = None
    tls_allow_insecure_connection: bool | None = None
    tls_enable_hostname_verification: bool | None = None


def read_client_conf(path: Path) -> ClientConf:
    """Read a client.conf. Raises UsageError when it can't be read or asks for Java's keystores."""
    try:
        values = _properties(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"client.conf {path}: {error.strerror}; correct --client-conf or PULSAR_CLIENT_CONF") from None
    except UnicodeDecodeError:
        raise UsageError(f"client.conf {path} is not UTF-8 text; save it as UTF-8") from None
    if _truth(values.get("useKeyStoreTls")):
        raise UsageError(
            f"client.conf {path}: useKeyStoreTls: keystores can't be read; give tlsTrustCertsFilePath (PEM)"
        )
    address = values.get("webServiceUrl") or values.get("serviceUrl")
    return ClientConf(
        web_service_url=_first_host(address) if address else None,
        auth_plugin=values.get("authPlugin"),
        auth_params=values.get("authParams"),
        tls_trust_certs_file_path=values.get("tlsTrustCertsFilePath"),
        tls_allow_insecure_connection=_truth(values.get("tlsAllowInsecureConnection")),
        tls_enable_hostname_verification=_truth(values.get("tlsEnableHostnameVerification")),
    )


def _properties(text: str) -> dict[str, str]:
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and line[0] not in "#!")
    return {key.strip(): value.strip() for key, _, value in pairs if value.strip()}


def _truth(text: str | None) -> bool | None:
    return None if text is None else text.lower() == "true"


def _first_host(address: str) -> str:
    """Return the first of several hosts: `http://a:8080,b:8080` names two."""
    return address.partition(",")[0].rstrip("/")
