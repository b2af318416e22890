"""From the class names of a worker's config to those who have a say in the manifests."""

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from magnetar.config.worker import WorkerConfig
from magnetar.errors import RefusedError, StartError
from magnetar.extensions import load_class
from magnetar.runtimes.kubernetes import auth, customizer, secrets
from magnetar.runtimes.kubernetes.objects.manifests import Extensions

T = TypeVar("T")
Config = Mapping[str, Any]


def load_extensions(config: WorkerConfig) -> Extensions:
    """Return the extensions that a config names: Pulsar's built-in classes, or `package.module:Class` of Python.

    A Python class is called with its config as one argument. Raises StartError that names the key and the Protocol.
    """
    try:
        return Extensions(
            customizer=_customizer(config),
            auth=_auth(config),
            secrets=_secrets(config),
            certificates=bool(config.tls_trust_certs_file_path)
            and os.access(config.tls_trust_certs_file_path, os.R_OK),
        )
    except RefusedError as refused:
        raise StartError(str(refused)) from None


def _customizer(config: WorkerConfig) -> customizer.KubernetesManifestCustomizer:
    name = config.runtime_customizer_class_name
    if not name:
        return customizer.NoCustomizer()
    made: customizer.KubernetesManifestCustomizer = load_class(
        "runtimeCustomizerClassName",
        name,
        customizer.KubernetesManifestCustomizer,
        {customizer.BASIC: customizer.BasicKubernetesManifestCustomizer},
    )(config.runtime_customizer_config)
    return made


def _auth(config: WorkerConfig) -> auth.KubernetesFunctionAuthProvider:
    name = config.function_auth_provider_class_name
    if not name:
        callers = config.authentication_enabled and config.magnetar.instance_credentials == "caller"
        return auth.KubernetesSecretsTokenAuthProvider() if callers else auth.WorkersCredentials()
    made: auth.KubernetesFunctionAuthProvider = load_class(
        "functionAuthProviderClassName",
        name,
        auth.KubernetesFunctionAuthProvider,
        {
            auth.TOKEN_IN_SECRET: lambda _: auth.KubernetesSecretsTokenAuthProvider(),
            auth.SERVICE_ACCOUNT_TOKEN: auth.KubernetesServiceAccountTokenAuthProvider,
        },
    )(config.kubernetes_runtime.kubernetes_function_auth_provider_config)
    return made


def _secrets(config: WorkerConfig) -> secrets.SecretsProviderConfigurator:
    name = config.secrets_provider_configurator_class_name or secrets.DEFAULT
    given = config.secrets_provider_configurator_config
    if name in secrets.BUILT_IN and given:
        raise StartError(f"secretsProviderConfiguratorConfig: {name} takes no config: remove it")
    made: secrets.SecretsProviderConfigurator = load_class(
        "secretsProviderConfiguratorClassName",
        name,
        secrets.SecretsProviderConfigurator,
        {known: _without_config(built_in) for known, built_in in secrets.BUILT_IN.items()},
    )(given)
    return made


def _without_config(made: Callable[[], T]) -> Callable[[Config], T]:
    return lambda _: made()
