"""`functions localrun`."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from magnetar.cli.errors import UsageError
from magnetar.cli.functions.options import FunctionOptions
from magnetar.cli.options import BOOLEAN, Truth, truth
from magnetar.cli.output import warn
from magnetar.errors import StartError

if TYPE_CHECKING:
    from magnetar.runtimes.process.settings import Credentials


@dataclass(frozen=True)
class Broker:
    """Where the function finds its broker, and how it shows who it is."""

    broker_service_url: Annotated[
        str | None,
        Option("--broker-service-url", "--brokerServiceUrl", help="The broker [pulsar://localhost:6650]."),
    ] = None
    client_auth_plugin: Annotated[
        str | None, Option("--client-auth-plugin", "--clientAuthPlugin", help="The class name of Pulsar's plugin.")
    ] = None
    client_auth_params: Annotated[
        str | None, Option("--client-auth-params", "--clientAuthParams", help="The plugin's parameters.")
    ] = None
    use_tls: Annotated[
        Truth | None, Option("--use-tls", "--use_tls", metavar=BOOLEAN, case_sensitive=False, help="Speak TLS.")
    ] = None
    tls_allow_insecure: Annotated[
        Truth | None,
        Option(
            "--tls-allow-insecure",
            "--tls_allow_insecure",
            metavar=BOOLEAN,
            case_sensitive=False,
            help="Accept any certificate.",
        ),
    ] = None
    hostname_verification_enabled: Annotated[
        Truth | None,
        Option(
            "--hostname-verification-enabled",
            "--hostname_verification_enabled",
            metavar=BOOLEAN,
            case_sensitive=False,
            help="The certificate must name the host.",
        ),
    ] = None
    tls_trust_cert_path: Annotated[
        Path | None,
        Option("--tls-trust-cert-path", "--tls_trust_cert_path", help="Authorities that vouch for the broker (PEM)."),
    ] = None

    def credentials(self) -> "Credentials | None":
        """Return how instances show who they are; None for not at all. Raises UsageError."""
        from magnetar.runtimes.process.settings import Credentials  # noqa: PLC0415 - keeps help quick

        if self.client_auth_params and not self.client_auth_plugin:
            raise UsageError("--client-auth-params needs --client-auth-plugin")
        made = Credentials(
            plugin=self.client_auth_plugin or "",
            parameters=self.client_auth_params or "",
            use_tls=bool(truth(self.use_tls)),
            tls_allow_insecure=bool(truth(self.tls_allow_insecure)),
            hostname_verification=bool(truth(self.hostname_verification_enabled)),
            tls_trust_cert_path=str(self.tls_trust_cert_path or ""),
        )
        return None if made == Credentials() else made


def localrun(
    function: FunctionOptions,
    broker: Broker,
    *,
    instance_id_offset: Annotated[
        int, Option("--instance-id-offset", "--instanceIdOffset", min=0, help="The number of the first instance.")
    ] = 0,
) -> None:
    """Run a function on this host against a broker, without a worker, until Ctrl-C; its log is printed.

    Instances that die are started again as a worker does; nothing is kept when it ends.
    """
    from magnetar.cli.functions.config import read_given  # noqa: PLC0415 - keeps help quick
    from magnetar.cli.functions.foreground import run_until_asked  # noqa: PLC0415
    from magnetar.localrun import LocalRun, LocalRunSettings  # noqa: PLC0415

    url = broker.broker_service_url
    if url is not None and not url.startswith(("pulsar://", "pulsar+ssl://")):
        raise UsageError(
            f"--broker-service-url {url} is no address of a broker: write pulsar://host:port or pulsar+ssl://…"
        )
    given = read_given(function)
    for sentence in given.warnings:
        warn(sentence)
    if given.file is None:
        raise UsageError("the function has no package here: give the path of a file with --py, --jar or --go")
    with tempfile.TemporaryDirectory(prefix="magnetar-localrun-") as directory:
        settings = LocalRunSettings(
            Path(directory),
            service_url=url or LocalRunSettings.service_url,
            credentials=broker.credentials(),
            instance_id_offset=instance_id_offset,
        )
        run = LocalRun(given.config.with_changes(**given.name._asdict()), given.file, settings)
        if why := run_until_asked(run):
            raise StartError(f"{given.name.fqfn} can't run: {why}")
