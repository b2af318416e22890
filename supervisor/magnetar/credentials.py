"""What the worker shows to the broker and to its peers, and whom it trusts; shared by HTTP and the binary protocol."""

import base64
import json
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from magnetar.errors import StartError

CLEAR_TEXT_TOKEN = "org.apache.pulsar.functions.auth.ClearTextFunctionTokenAuthProvider"  # noqa: S105 - a name
"""What keeps a creator's token in a function's metadata."""
_PLUGINS = {
    "": "none",
    "org.apache.pulsar.client.impl.auth.AuthenticationDisabled": "none",
    "org.apache.pulsar.client.impl.auth.AuthenticationToken": "token",
    "org.apache.pulsar.client.impl.auth.AuthenticationTls": "tls",
    "org.apache.pulsar.client.impl.auth.AuthenticationBasic": "basic",
}


@dataclass(frozen=True)
class BrokerCredentials:
    """Plugin and parameters as Pulsar writes them (token, TLS, basic), and the judgement of the broker's certificate.

    Parameters of the token plugin: `token:…`, `file:///…`, `{"token": "…"}`, or the bare token. Raises StartError when the
    plugin is another or its parameters lack something.
    """

    plugin: str = ""
    parameters: str = field(default="", repr=False)
    trust_certs: Path | None = None
    allow_insecure: bool = False
    verify_hostname: bool = True

    def __post_init__(self) -> None:
        if self.method == "tls":
            self.client_certificate()
        if self.method == "basic":
            self.basic()

    @property
    def method(self) -> str:
        """The kind of credentials: `none`, `token`, `tls` or `basic`; the short names are taken as plugins too."""
        if self.plugin in _PLUGINS.values():
            return self.plugin
        if self.plugin not in _PLUGINS:
            known = ", ".join(filter(None, _PLUGINS))
            raise StartError(f"brokerClientAuthenticationPlugin: {self.plugin!r} is not known; use one of {known}")
        return _PLUGINS[self.plugin]

    def token(self) -> str:
        """Return the token; a file is read anew each time, so that a renewed one counts. Raises StartError."""
        given = self.parameters
        if given.startswith("token:"):
            return given.removeprefix("token:")
        if given.startswith("file:"):
            return _read(Path(unquote(urlsplit(given).path))).strip()
        if given.lstrip().startswith("{"):
            return self._parameter("token")
        return given

    def client_certificate(self) -> tuple[str, str]:
        """Return the files of the certificate and its key, of the TLS plugin. Raises StartError."""
        return self._parameter("tlsCertFile"), self._parameter("tlsKeyFile")

    def basic(self) -> tuple[str, str]:
        """Return the user and the password, of the basic plugin. Raises StartError."""
        return self._parameter("userId"), self._parameter("password")

    def headers(self) -> dict[str, str]:
        """Return the headers that show these credentials to an HTTP API."""
        if self.method == "token":
            return {"Authorization": f"Bearer {self.token()}", "X-Pulsar-Auth-Method-Name": "token"}
        if self.method == "basic":
            pair = base64.b64encode(":".join(self.basic()).encode()).decode()
            return {"Authorization": f"Basic {pair}", "X-Pulsar-Auth-Method-Name": "basic"}
        if self.method == "tls":
            return {"X-Pulsar-Auth-Method-Name": "tls"}
        return {}

    def ssl_context(self) -> ssl.SSLContext:
        """Return how to speak TLS: the system's authorities where no file of them is given. Raises StartError."""
        try:
            context = ssl.create_default_context(cafile=self.trust_certs)
            context.check_hostname = self.verify_hostname and not self.allow_insecure
            if self.allow_insecure:
                context.verify_mode = ssl.CERT_NONE
            if self.method == "tls":
                context.load_cert_chain(*self.client_certificate())
        except OSError as error:
            raise StartError(f"the certificates for the broker can't be read: {error}") from error
        return context

    def _parameter(self, name: str) -> str:
        value = _parsed(self.parameters).get(name)
        if not isinstance(value, str):
            raise StartError(f"brokerClientAuthenticationParameters: {name} is missing; {self.plugin} needs it")
        return value


def _parsed(parameters: str) -> dict[str, object]:
    """Read parameters as JSON or as `name:value,name:value`."""
    if not parameters.lstrip().startswith("{"):
        pairs = (pair.partition(":") for pair in parameters.split(","))
        return {name.strip(): value.strip() for name, _, value in pairs}
    try:
        value = json.loads(parameters)
    except ValueError as error:
        raise StartError("brokerClientAuthenticationParameters: starts as JSON and is none") from error
    return value if isinstance(value, dict) else {}


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise StartError(f"brokerClientAuthenticationParameters: {path} can't be read: {error.strerror}") from error
