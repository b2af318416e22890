"""A class of one's own for each Protocol of the Kubernetes runtime; docs/kubernetes.md says how to name them."""

import copy
from collections.abc import Mapping
from typing import Any

from magnetar.errors import RefusedError
from magnetar.runtimes.base import FunctionSpec
from magnetar.runtimes.kubernetes.customizer import BasicKubernetesManifestCustomizer
from magnetar.runtimes.process.settings import Credentials
from magnetar_instance.proto.function import FunctionDetails

Manifest = dict[str, Any]


class TenantNamespaces(BasicKubernetesManifestCustomizer):
    """A customizer: each tenant's functions get a namespace of their own, and a label to bill them by."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__({key: value for key, value in config.items() if key != "prefix"})
        self._prefix = str(config.get("prefix", "functions-"))

    def job_namespace(self, details: FunctionDetails, configured: str) -> str:
        """Refuse what would leave the tenant's namespace."""
        asked = super().job_namespace(details, configured)
        mine = f"{self._prefix}{details.tenant}"
        if asked not in (configured, mine):
            raise RefusedError(
                f"customRuntimeOptions.jobNamespace is {asked!r}: functions of {details.tenant} run in {mine}"
            )
        return mine

    def stateful_set(self, details: FunctionDetails, stateful_set: Manifest) -> Manifest:
        """Label the pods with the cost centre."""
        changed = super().stateful_set(details, stateful_set)
        changed["spec"]["template"]["metadata"]["labels"]["cost-centre"] = details.tenant
        return changed


class SharedSecret:
    """An auth provider: all functions show the broker the token that an operator keeps in one Secret."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._secret = str(config.get("secretName", "functions-token"))

    def secret(self, spec: FunctionSpec, token: str | None, certificates: bytes | None) -> Manifest | None:
        """Keep nothing of the creator's."""
        return None

    def credentials(self, spec: FunctionSpec, worker: Credentials | None, *, certificates: bool) -> Credentials | None:
        """Tell the pods where the token is."""
        if worker is None:
            return None
        plugin = "org.apache.pulsar.client.impl.auth.AuthenticationToken"
        return Credentials(plugin, "file:///etc/functions-token/token", tls_trust_cert_path=worker.tls_trust_cert_path)

    def mount(self, spec: FunctionSpec, stateful_set: Manifest) -> Manifest:
        """Mount the Secret."""
        changed = copy.deepcopy(stateful_set)
        pod = changed["spec"]["template"]["spec"]
        pod.setdefault("volumes", []).append({"name": "functions-token", "secret": {"secretName": self._secret}})
        for container in pod["containers"]:
            mount = {"name": "functions-token", "mountPath": "/etc/functions-token", "readOnly": True}
            container.setdefault("volumeMounts", []).append(mount)
        return changed


class OneSecretForAll:
    """A secrets configurator: a function names fields alone, and all of them stand in one Secret of the operator's."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._secret = str(config["secretName"])

    def provider(self, language: str) -> str:
        """Let instances read their environment."""
        return {
            "JAVA": "org.apache.pulsar.functions.secretsprovider.EnvironmentBasedSecretsProvider",
            "PYTHON": "secretsprovider.EnvironmentBasedSecretsProvider",
        }.get(language, "")

    def check(self, secrets: Mapping[str, Any]) -> None:
        """Demand a text for each secret."""
        for name, field in secrets.items():
            if not isinstance(field, str):
                raise RefusedError(f"secrets.{name} is {field!r}: name a field of the Secret {self._secret}")

    def environment(self, secrets: Mapping[str, Any]) -> list[Manifest]:
        """Refer to the fields."""
        return [
            {"name": name, "valueFrom": {"secretKeyRef": {"name": self._secret, "key": field}}}
            for name, field in secrets.items()
        ]
