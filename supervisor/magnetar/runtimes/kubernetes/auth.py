"""How pods authenticate to the broker: what they are told and what is mounted for it. Pure."""

import base64
import copy
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from magnetar_instance.proto.function import FunctionAuthenticationSpec
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from magnetar.errors import RefusedError
from magnetar.runtimes.base import FunctionSpec
from magnetar.runtimes.kubernetes.objects.naming import NAME_ANNOTATION, labels
from magnetar.runtimes.process.settings import Credentials

_PROVIDERS = "org.apache.pulsar.functions.auth"
TOKEN_IN_SECRET = f"{_PROVIDERS}.KubernetesSecretsTokenAuthProvider"
SERVICE_ACCOUNT_TOKEN = f"{_PROVIDERS}.KubernetesServiceAccountTokenAuthProvider"
TOKEN_PLUGIN = "org.apache.pulsar.client.impl.auth.AuthenticationToken"  # noqa: S105
SECRET_PREFIX = "pf-secret-"  # noqa: S105
_FOLDER = "/etc/auth"
_VOLUME = "function-auth"
Manifest = dict[str, Any]


class KubernetesFunctionAuthProvider(Protocol):
    """What a class named by `functionAuthProviderClassName` implements; made with the keys of its config.

    `secret` is what is kept in Kubernetes for a function; what it returns None for is kept nowhere.
    """

    def secret(self, spec: FunctionSpec, token: str | None, certificates: bytes | None) -> Manifest | None:
        """Return the Secret that holds a creator's credentials, without its name."""

    def credentials(self, spec: FunctionSpec, worker: Credentials | None, *, certificates: bool) -> Credentials | None:
        """Return what the pods are told; `certificates` says whether the worker has some to hand over."""

    def mount(self, spec: FunctionSpec, stateful_set: Manifest) -> Manifest:
        """Return the StatefulSet with the credentials mounted."""


class KubernetesSecretsTokenAuthProvider:
    """Pulsar's default in Kubernetes: the creator's token in a Secret of the function, mounted into its pods."""

    def secret(self, spec: FunctionSpec, token: str | None, certificates: bytes | None) -> Manifest | None:
        """Return the Secret with the token and, where there are some, the certificates that the broker is trusted by."""
        if token is None:
            return None
        data = {"token": token.encode(), **({"ca.pem": certificates} if certificates else {})}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"labels": labels(spec.details, {}), "annotations": {NAME_ANNOTATION: spec.fqfn}},
            "type": "Opaque",
            "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
        }

    def credentials(self, spec: FunctionSpec, worker: Credentials | None, *, certificates: bool) -> Credentials | None:
        """Return the token's file; a function that was created without a token authenticates as nobody."""
        if worker is None:
            return None
        if secret_name(spec.auth) is None:
            return replace(worker, plugin="", parameters="")
        trust = f"{_FOLDER}/ca.pem" if certificates else worker.tls_trust_cert_path
        return _from_file(worker, f"{_FOLDER}/token", trust)

    def mount(self, spec: FunctionSpec, stateful_set: Manifest) -> Manifest:
        """Mount the Secret beside the volumes that are there (Pulsar replaces them)."""
        name = secret_name(spec.auth)
        if name is None:
            return stateful_set
        return _mounted(stateful_set, {"name": _VOLUME, "secret": {"secretName": name}})


class _ServiceAccountConfig(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, coerce_numbers_to_str=True)

    broker_client_trust_certs_secret_name: str | None = None
    service_account_token_expiration_seconds: int | None = Field(default=None, ge=600)
    service_account_token_audience: str | None = None


class KubernetesServiceAccountTokenAuthProvider:
    """Pulsar 4's: the pods show the broker the token of their own service account, renewed by Kubernetes.

    The token and the certificates share one projected volume: two volumes on one path, as Pulsar writes them, are
    refused by the API server. Without an expiration Kubernetes' own hour counts.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        try:
            self._config = _ServiceAccountConfig.model_validate(config)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(("kubernetesFunctionAuthProviderConfig", *map(str, first["loc"])))
            raise RefusedError(f"{where} is {first['input']!r}: {first['msg'].lower()}") from None

    def secret(self, spec: FunctionSpec, token: str | None, certificates: bytes | None) -> Manifest | None:  # noqa: ARG002
        """Keep nothing: no caller's token is stored."""
        return None

    def credentials(self, spec: FunctionSpec, worker: Credentials | None, *, certificates: bool) -> Credentials | None:  # noqa: ARG002
        """Return the files of the projected volume."""
        if worker is None:
            return None
        secret = self._config.broker_client_trust_certs_secret_name
        return _from_file(worker, f"{_FOLDER}/token", f"{_FOLDER}/ca.crt" if secret else worker.tls_trust_cert_path)

    def mount(self, spec: FunctionSpec, stateful_set: Manifest) -> Manifest:  # noqa: ARG002
        """Mount the service account's token, and the certificates beside it."""
        config = self._config
        token: Manifest = {"path": "token"}
        if config.service_account_token_audience:
            token["audience"] = config.service_account_token_audience
        if config.service_account_token_expiration_seconds:
            token["expirationSeconds"] = config.service_account_token_expiration_seconds
        sources: list[Manifest] = [{"serviceAccountToken": token}]
        if secret := config.broker_client_trust_certs_secret_name:
            sources.append({"secret": {"name": secret, "items": [{"key": "ca.crt", "path": "ca.crt"}]}})
        return _mounted(stateful_set, {"name": "service-account-token", "projected": {"sources": sources}})


class WorkersCredentials:
    """No provider: pods authenticate as the worker does, by what stands on their command line."""

    def secret(self, spec: FunctionSpec, token: str | None, certificates: bytes | None) -> Manifest | None:  # noqa: ARG002
        """Keep nothing."""
        return None

    def credentials(self, spec: FunctionSpec, worker: Credentials | None, *, certificates: bool) -> Credentials | None:  # noqa: ARG002
        """Return the worker's own."""
        return worker

    def mount(self, spec: FunctionSpec, stateful_set: Manifest) -> Manifest:  # noqa: ARG002
        """Mount nothing."""
        return stateful_set


def _from_file(worker: Credentials, token: str, trust: str) -> Credentials:
    return replace(worker, plugin=TOKEN_PLUGIN, parameters=f"file://{token}", tls_trust_cert_path=trust)


def _mounted(stateful_set: Manifest, volume: Manifest) -> Manifest:
    changed = copy.deepcopy(stateful_set)
    pod = changed["spec"]["template"]["spec"]
    pod["volumes"] = [*pod.get("volumes", []), volume]
    for container in pod["containers"]:
        mount = {"name": volume["name"], "mountPath": _FOLDER, "readOnly": True}
        container["volumeMounts"] = [*container.get("volumeMounts", []), mount]
    return changed


def secret_name(auth: FunctionAuthenticationSpec | None) -> str | None:
    """Return the name of the Secret that a function's credentials are in; the metadata hold its end alone."""
    return f"{SECRET_PREFIX}{auth.data.decode()}" if auth is not None and auth.data else None


def expiry_of(token: str) -> float | None:
    """Return when a token stops counting, in seconds since the epoch; None for one that does not say."""
    _, payload, *_ = [*token.split("."), ""]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (ValueError, TypeError, KeyError):
        return None


def auth_spec(secret: str) -> FunctionAuthenticationSpec:
    """Return what the function's metadata remember of its Secret, as Pulsar's workers read it."""
    return FunctionAuthenticationSpec(data=secret.removeprefix(SECRET_PREFIX).encode(), provider=TOKEN_IN_SECRET)
