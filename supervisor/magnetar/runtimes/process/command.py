"""The command lines and the environment of instances, as Pulsar's worker composes them. Pure."""

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from magnetar_instance.logs import FORMAT_VARIABLE

from magnetar.runtimes.base import InstanceSpec
from magnetar.runtimes.json_text import stable_json
from magnetar.runtimes.process.launch import Place
from magnetar.runtimes.process.settings import Credentials, ProcessSettings

MAX_BUFFERED_TUPLES = 1024


def python_command(spec: InstanceSpec, launcher: Path, arguments: Sequence[str]) -> list[str]:
    """Return the command of a Python instance: the interpreter, its flags (`runtimeFlags`), the launcher, its arguments."""
    return [sys.executable, *shlex.split(spec.details.runtimeFlags), str(launcher), *arguments]


def python_arguments(settings: ProcessSettings, spec: InstanceSpec, place: Place) -> list[str]:
    """Return the arguments of a Python instance in the order of Pulsar 2.8 to 4.2."""
    arguments = ["--py", str(place.package)]
    arguments += ["--logging_directory", str(settings.log_directory / "functions")]
    arguments += ["--logging_file", spec.details.name]
    arguments += ["--logging_config_file", settings.logging_config]
    state = place.state_url or settings.python_state_url or settings.state_storage_url
    own = replace(settings, state_storage_url=state)
    return [*arguments, *common_arguments(own, spec, place, secrets_provider=settings.secrets_provider)]


def common_arguments(
    settings: ProcessSettings,
    spec: InstanceSpec,
    place: Place,
    *,
    secrets_provider: str,
    after_service_url: Sequence[str] = (),
    after_ports: Sequence[str] = (),
) -> list[str]:
    """Return the arguments that Java and Python share, in Pulsar's order; Java has some of its own between them."""
    arguments = ["--instance_id", str(spec.instance_id)]
    arguments += ["--function_id", spec.function_id, "--function_version", spec.function_version]
    arguments += ["--function_details", f"'{details_json(spec)}'"]
    arguments += ["--pulsar_serviceurl", settings.pulsar_service_url, *after_service_url]
    arguments += _credentials(place.credentials)
    arguments += ["--max_buffered_tuples", str(MAX_BUFFERED_TUPLES)]
    arguments += ["--port", str(place.port), "--metrics_port", str(place.metrics_port), *after_ports]
    if settings.state_storage_url:
        arguments += ["--state_storage_serviceurl", settings.state_storage_url]
    arguments += ["--expected_healthcheck_interval", str(settings.health_check_interval)]
    if secrets_provider:
        arguments += ["--secrets_provider", secrets_provider]
    return [*arguments, "--cluster_name", settings.cluster_name]


def details_json(spec: InstanceSpec) -> str:
    """Return the function's details as Pulsar sends them: compact JSON without default values."""
    return stable_json(spec.details)


def _credentials(credentials: Credentials | None) -> list[str]:
    if credentials is None:
        return []
    arguments = []
    if credentials.plugin and credentials.parameters:
        arguments += ["--client_auth_plugin", credentials.plugin, "--client_auth_params", credentials.parameters]
    arguments += ["--use_tls", _flag(credentials.use_tls)]
    arguments += ["--tls_allow_insecure", _flag(credentials.tls_allow_insecure)]
    arguments += ["--hostname_verification_enabled", _flag(credentials.hostname_verification)]
    if credentials.tls_trust_cert_path:
        arguments += ["--tls_trust_cert_path", credentials.tls_trust_cert_path]
    return arguments


def _flag(value: bool) -> str:  # noqa: FBT001
    return "true" if value else "false"


def python_environment(settings: ProcessSettings, own: Path | None = None) -> dict[str, str]:
    """Return the environment: a function's `own` packages, the extra dependencies, then the inherited PYTHONPATH.

    Pulsar's worker sets PYTHONPATH to a literal `${PYTHONPATH}:<dir>`, which no shell ever expands.
    """
    environment = dict(settings.environment)
    first = [str(each) for each in (own, settings.extra_dependencies) if each is not None]
    if first:
        environment["PYTHONPATH"] = os.pathsep.join([*first, *filter(None, [environment.get("PYTHONPATH", "")])])
    if settings.log_format != "text":
        environment[FORMAT_VARIABLE] = settings.log_format
    return environment


def log_file(log_directory: Path, tenant: str, namespace: str, name: str, instance_id: int) -> Path:
    """Return `<log directory>/functions/<tenant>/<namespace>/<name>/<name>-<instance>.log`, in every runtime."""
    return log_directory / "functions" / tenant / namespace / name / f"{name}-{instance_id}.log"
