"""Which worker a command talks to, and how the command shows who asks."""

import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from magnetar.cli.client_conf import ClientConf, read_client_conf
from magnetar.cli.errors import UsageError
from magnetar.cli.options import BOOLEAN, Truth, truth
from magnetar.cli.output import warn

if TYPE_CHECKING:
    from magnetar.client import WorkerClient
    from magnetar.credentials import BrokerCredentials

T = TypeVar("T")
DEFAULT_URL = "http://localhost:8080"
_TOKEN_PLUGIN = "org.apache.pulsar.client.impl.auth.AuthenticationToken"  # noqa: S105 - a name, no secret


@dataclass(frozen=True)
class Connection:
    """Options, before a command or after it, that say where the worker is and who asks."""

    admin_url: Annotated[
        str | None, typer.Option("--admin-url", help=f"The worker's address [MAGNETAR_ADMIN_URL, or {DEFAULT_URL}].")
    ] = None
    client_conf: Annotated[
        Path | None, typer.Option("--client-conf", "--config", help="Pulsar's client.conf [PULSAR_CLIENT_CONF].")
    ] = None
    auth_plugin: Annotated[
        str | None, typer.Option("--auth-plugin", help="The class name of Pulsar's authentication plugin.")
    ] = None
    auth_params: Annotated[
        str | None, typer.Option("--auth-params", help="The plugin's parameters, such as token:… or file:///….")
    ] = None
    token_file: Annotated[Path | None, typer.Option("--token-file", help="A file that holds a token.")] = None
    tls_trust_cert_path: Annotated[
        Path | None, typer.Option("--tls-trust-cert-path", help="Authorities that vouch for the worker (PEM).")
    ] = None
    tls_allow_insecure: Annotated[
        Truth | None,
        typer.Option("--tls-allow-insecure", metavar=BOOLEAN, case_sensitive=False, help="Accept any certificate."),
    ] = None
    tls_enable_hostname_verification: Annotated[
        Truth | None,
        typer.Option(
            "--tls-enable-hostname-verification",
            metavar=BOOLEAN,
            case_sensitive=False,
            help="Whether the certificate must name the host [true].",
        ),
    ] = None
    request_timeout: Annotated[
        float | None, typer.Option("--request-timeout", min=0.001, help="Seconds a worker may be silent [60].")
    ] = None

    def client(self, environ: Mapping[str, str] = os.environ) -> "WorkerClient":
        """Return a client: options win over the environment, that over client.conf. Raises UsageError."""
        # httpx is a command line, too, whose libraries take longer to import than all that is needed here.
        sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
        from magnetar.client import WorkerClient  # noqa: PLC0415 - keeps help quick

        conf = self._conf(environ)
        url = self.admin_url or environ.get("MAGNETAR_ADMIN_URL") or conf.web_service_url or DEFAULT_URL
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"the worker's address {url!r} is no URL: write http://host:port or https://host:port")
        timeout = {} if self.request_timeout is None else {"timeout": self.request_timeout}
        return WorkerClient(url, self._credentials(conf), warn=warn, **timeout)

    def _conf(self, environ: Mapping[str, str]) -> ClientConf:
        path = self.client_conf or environ.get("PULSAR_CLIENT_CONF")
        return read_client_conf(Path(path)) if path else ClientConf()

    def _credentials(self, conf: ClientConf) -> "BrokerCredentials":
        from magnetar.credentials import BrokerCredentials  # noqa: PLC0415 - keeps help quick
        from magnetar.errors import StartError  # noqa: PLC0415

        plugin, parameters = self._plugin(conf)
        trusted = self.tls_trust_cert_path or conf.tls_trust_certs_file_path
        insecure = (truth(self.tls_allow_insecure), conf.tls_allow_insecure_connection)
        verified = (truth(self.tls_enable_hostname_verification), conf.tls_enable_hostname_verification)
        try:
            return BrokerCredentials(
                plugin=plugin,
                parameters=parameters,
                trust_certs=Path(trusted) if trusted else None,
                allow_insecure=_first(insecure, default=False),
                verify_hostname=_first(verified, default=True),
            )
        except StartError as error:
            raise UsageError(_in_our_words(error)) from None

    def _plugin(self, conf: ClientConf) -> tuple[str, str]:
        if self.token_file:
            if self.auth_plugin or self.auth_params:
                raise UsageError("--token-file and --auth-params both say who asks: keep one")
            if not os.access(self.token_file, os.R_OK):
                raise UsageError(f"--token-file {self.token_file} can't be read: give a file that holds a token")
            return _TOKEN_PLUGIN, self.token_file.absolute().as_uri()
        parameters = self.auth_params or conf.auth_params or ""
        plugin = self.auth_plugin or conf.auth_plugin or ""
        if parameters and not plugin:
            raise UsageError(f"--auth-params needs --auth-plugin, for a token {_TOKEN_PLUGIN}")
        return plugin, parameters


def ask(connection: Connection, work: "Callable[[WorkerClient], Awaitable[T]]") -> T:
    """Run one piece of work with a client. Raises what the client raises."""
    import anyio  # noqa: PLC0415 - keeps help quick

    async def run() -> T:
        async with connection.client() as client:
            return await work(client)

    return anyio.run(run)


def _first(values: Iterable[bool | None], *, default: bool) -> bool:
    return next((value for value in values if value is not None), default)


def _in_our_words(error: Exception) -> str:
    names = {
        "brokerClientAuthenticationPlugin": "--auth-plugin",
        "brokerClientAuthenticationParameters": "--auth-params",
    }
    text = str(error)
    for theirs, ours in names.items():
        text = text.replace(theirs, ours)
    return text
