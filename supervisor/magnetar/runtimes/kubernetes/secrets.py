"""How a function's secrets reach its pods: by reference, never by value. Pure."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from magnetar_instance.proto.function import FunctionDetails

from magnetar.errors import RefusedError

_PACKAGE = "org.apache.pulsar.functions"
_JAVA = f"{_PACKAGE}.secretsprovider"
_CONFIGURATORS = f"{_PACKAGE}.secretsproviderconfigurator"
DEFAULT = f"{_CONFIGURATORS}.DefaultSecretsProviderConfigurator"
KUBERNETES = f"{_CONFIGURATORS}.KubernetesSecretsProviderConfigurator"


class SecretsProviderConfigurator(Protocol):
    """Decides which secrets provider an instance uses and what its container needs for it."""

    def provider(self, language: str) -> str:
        """Return the provider's class for JAVA, PYTHON or GO; empty for none."""

    def check(self, secrets: Mapping[str, Any]) -> None:
        """Raise RefusedError for secrets that can't be had in this way."""

    def environment(self, secrets: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return environment variables of the container, as Kubernetes writes them."""


class ClearTextSecrets:
    """Pulsar's default: what stands in the config is the secret."""

    def provider(self, language: str) -> str:
        """Return the clear-text provider of a language."""
        names = {"JAVA": f"{_JAVA}.ClearTextSecretsProvider", "PYTHON": "secretsprovider.ClearTextSecretsProvider"}
        return names.get(language, "")

    def check(self, secrets: Mapping[str, Any]) -> None:
        """Accept everything."""

    def environment(self, secrets: Mapping[str, Any]) -> list[dict[str, Any]]:  # noqa: ARG002
        """Return nothing: the secrets are in the function's details."""
        return []


class KubernetesSecrets:
    """`{NAME: {path: <Secret>, key: <field>}}` becomes an environment variable NAME that refers to the field."""

    def provider(self, language: str) -> str:
        """Return the provider that reads the environment."""
        names = {
            "JAVA": f"{_JAVA}.EnvironmentBasedSecretsProvider",
            "PYTHON": "secretsprovider.EnvironmentBasedSecretsProvider",
        }
        return names.get(language, "")

    def check(self, secrets: Mapping[str, Any]) -> None:
        """Demand `path` and `key` of every secret."""
        for name, value in secrets.items():
            good = isinstance(value, Mapping) and all(isinstance(value.get(part), str) for part in ("path", "key"))
            if not good:
                raise RefusedError(
                    f"secrets.{name} is {json.dumps(value)}: give "
                    "{path: <name of a Kubernetes Secret>, key: <field in it>}"
                )

    def environment(self, secrets: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return one variable for each secret, by reference."""
        return [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": value["path"], "key": value["key"]}}}
            for name, value in secrets.items()
        ]


BUILT_IN: dict[str, type[ClearTextSecrets] | type[KubernetesSecrets]] = {
    DEFAULT: ClearTextSecrets,
    KUBERNETES: KubernetesSecrets,
}


def secrets_of(details: FunctionDetails) -> dict[str, Any]:
    """Return a function's secrets; they are stored as JSON."""
    if not details.secretsMap:
        return {}
    secrets = json.loads(details.secretsMap)
    return secrets if isinstance(secrets, dict) else {}
