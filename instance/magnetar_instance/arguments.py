"""The command line of Pulsar's python_instance_main.py: every flag, prefix abbreviations, quotes and all."""

import argparse
import configparser
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import json_format

from magnetar_instance.errors import BootError
from magnetar_instance.proto.function import FunctionDetails
from magnetar_instance.settings import ClientAuth, Dependencies, InstanceSettings
from magnetar_instance.windowing import unwrapped

REQUIRED = (
    "function_details",
    "py",
    "instance_id",
    "function_id",
    "function_version",
    "pulsar_serviceurl",
    "port",
    "metrics_port",
    "max_buffered_tuples",
    "logging_directory",
    "logging_file",
    "logging_config_file",
    "expected_healthcheck_interval",
    "cluster_name",
)
_OPTIONAL = (
    "client_auth_plugin",
    "client_auth_params",
    "use_tls",
    "tls_allow_insecure_connection",
    "hostname_verification_enabled",
    "tls_trust_cert_path",
    "secrets_provider",
    "secrets_provider_config",
    "dependency_repository",
    "extra_dependency_repository",
    "state_storage_serviceurl",
    "logging_level",
    "config_file",
)
_NUMBERS = ("port", "metrics_port", "expected_healthcheck_interval")
_LEVELS = ("notset", "debug", "info", "warn", "warning", "error", "critical", "fatal")


@dataclass(frozen=True)
class HostOptions:
    """What concerns the process around an instance; the interval is in seconds, 0 or less means that nobody asks."""

    port: int
    metrics_port: int
    health_check_interval: int
    logging_config: Path | None
    logging_level: str | None


class UsageError(Exception):
    """Raised for a command line that starts no instance; the message is for standard error."""


def parse(arguments: Sequence[str]) -> tuple[InstanceSettings, HostOptions]:
    """Read a command line. Raises UsageError, and BootError when the function's details can't be read."""
    values = _values(arguments)
    missing = [f"--{name}" for name in REQUIRED if values[name] is None]
    if missing:
        raise UsageError(f"these arguments are required: {', '.join(missing)}")
    return unwrapped(_settings(values)), _host(values)


def _values(arguments: Sequence[str]) -> dict[str, str | None]:
    """Return each flag's text; an INI file of `--config_file` fills what the command line leaves out."""
    parser = argparse.ArgumentParser(
        prog="python_instance_main.py", description="One instance of a Python function, as Pulsar's workers start it."
    )
    for name in (*REQUIRED, *_OPTIONAL, "install_usercode_dependencies"):
        parser.add_argument(f"--{name}")
    values: dict[str, str | None] = vars(parser.parse_args(list(arguments)))
    if values["config_file"]:
        given = configparser.ConfigParser(interpolation=None)
        if not given.read(values["config_file"]):
            raise UsageError(f"--config_file {values['config_file']} can't be read")
        for name, value in given.defaults().items():
            if name in values and not values[name]:
                values[name] = value
    return values


def _settings(values: dict[str, str | None]) -> InstanceSettings:
    details = _details(values["function_details"] or "")
    instance_id = _number(values, "instance_id")
    return InstanceSettings(
        details=details,
        instance_id=instance_id,
        function_id=values["function_id"] or "",
        function_version=values["function_version"] or "",
        code=Path(values["py"] or ""),
        service_url=values["pulsar_serviceurl"] or "",
        cluster=values["cluster_name"] or "",
        log_file=_log_file(values, details, instance_id),
        auth=ClientAuth(
            plugin=values["client_auth_plugin"] or "",
            parameters=values["client_auth_params"] or "",
            tls_allow_insecure=_is_true(values["tls_allow_insecure_connection"]),
            tls_hostname_verification=_is_true(values["hostname_verification_enabled"]),
            tls_trust_certs=values["tls_trust_cert_path"] or "",
        ),
        secrets_provider=values["secrets_provider"] or "",
        secrets_config=_unquoted(values["secrets_provider_config"] or ""),
        state_storage_url=values["state_storage_serviceurl"] or "",
        dependencies=Dependencies(
            # Pulsar's parser has type=bool here: any text but the empty one means true, "False" too.
            install=bool(values["install_usercode_dependencies"]),
            repository=values["dependency_repository"] or "",
            extra_repository=values["extra_dependency_repository"] or "",
        ),
    )


def _host(values: dict[str, str | None]) -> HostOptions:
    port, metrics_port, interval = (_number(values, name) for name in _NUMBERS)
    config = values["logging_config_file"]
    level = values["logging_level"]
    return HostOptions(
        port=port,
        metrics_port=metrics_port,
        health_check_interval=interval,
        logging_config=Path(config) if config else None,
        logging_level=level.upper() if level in _LEVELS else None,
    )


def _details(text: str) -> FunctionDetails:
    try:
        return json_format.Parse(_unquoted(text), FunctionDetails())
    except json_format.ParseError as error:
        raise BootError(f"--function_details can't be read: {error}") from error


def _unquoted(text: str) -> str:
    """Return the text without the one quote at each end that Pulsar's worker adds for a shell that is not there."""
    return text.removeprefix("'").removesuffix("'")


def _number(values: dict[str, str | None], name: str) -> int:
    try:
        return int(values[name] or "")
    except ValueError:
        raise UsageError(f"--{name} {values[name]!r} is no number") from None


def _log_file(values: dict[str, str | None], details: FunctionDetails, instance_id: int) -> Path:
    folder = Path(values["logging_directory"] or "") / details.tenant / details.namespace / details.name
    return folder / f"{values['logging_file']}-{instance_id}.log"


def _is_true(text: str | None) -> bool:
    return (text or "").lower() == "true"


def fail_usage(error: UsageError) -> int:
    """Say on standard error what is wrong with the command line; returns the exit code that Pulsar's instance has."""
    sys.stderr.write(f"python_instance_main.py: {error}\n")
    return 1
