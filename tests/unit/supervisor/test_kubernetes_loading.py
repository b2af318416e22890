import pytest
from magnetar.config import load_config
from magnetar.errors import StartError
from magnetar.runtimes.kubernetes import auth, customizer, secrets
from magnetar.runtimes.kubernetes.loading import load_extensions
from magnetar.runtimes.kubernetes.objects.manifests import Extensions

FACTORY = "org.apache.pulsar.functions.runtime.kubernetes.KubernetesRuntimeFactory"


class Mine(customizer.NoCustomizer):
    """A customizer of a user's own."""

    def __init__(self, config: dict[str, str]) -> None:
        self.config = config


class Half:
    """Lacks what the Protocol asks for."""


def loaded(**keys: object) -> Extensions:
    return load_extensions(load_config(None, {"functionRuntimeFactoryClassName": FACTORY, **keys}))


def test_pulsars_names_mean_our_own_classes() -> None:
    """Each built-in class of Pulsar has a counterpart here."""
    extensions = loaded(
        runtimeCustomizerClassName=customizer.BASIC,
        functionAuthProviderClassName=auth.SERVICE_ACCOUNT_TOKEN,
        secretsProviderConfiguratorClassName=secrets.KUBERNETES,
    )
    assert isinstance(extensions.customizer, customizer.BasicKubernetesManifestCustomizer)
    assert isinstance(extensions.auth, auth.KubernetesServiceAccountTokenAuthProvider)
    assert isinstance(extensions.secrets, secrets.KubernetesSecrets)


def test_without_any_names_nobody_customizes_and_secrets_are_as_they_stand() -> None:
    """The defaults are Pulsar's where a worker authenticates nobody."""
    extensions = loaded()
    assert isinstance(extensions.customizer, customizer.NoCustomizer)
    assert isinstance(extensions.auth, auth.WorkersCredentials)
    assert isinstance(extensions.secrets, secrets.ClearTextSecrets)


def test_a_python_class_gets_its_config() -> None:
    """It is named as package.module:Class and called with runtimeCustomizerConfig."""
    extensions = loaded(runtimeCustomizerClassName=f"{__name__}:Mine", runtimeCustomizerConfig={"a": "b"})
    assert isinstance(extensions.customizer, Mine)
    assert extensions.customizer.config == {"a": "b"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"runtimeCustomizerClassName": "com.acme.Mine"}, r"Java class.*KubernetesManifestCustomizer"),
        ({"runtimeCustomizerClassName": "no.such.module:Mine"}, r"can't be imported"),
        ({"runtimeCustomizerClassName": f"{__name__}:Half"}, r"lacks .*stateful_set"),
        ({"functionAuthProviderClassName": "com.acme.Mine"}, r"functionAuthProviderClassName.*KubernetesFunctionAuth"),
        ({"secretsProviderConfiguratorConfig": {"a": 1}}, r"takes no config"),
        (
            {"runtimeCustomizerClassName": customizer.BASIC, "runtimeCustomizerConfig": {"extraLabels": 1}},
            r"runtimeCustomizerConfig\.extraLabels is 1",
        ),
    ],
)
def test_what_cannot_be_loaded_stops_the_start_with_a_reason(keys: dict[str, object], message: str) -> None:
    """The key, the value and what to write instead."""
    with pytest.raises(StartError, match=message):
        loaded(**keys)
