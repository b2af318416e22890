from pathlib import Path

import pytest
from magnetar.config import load_config
from magnetar.errors import RefusedError
from magnetar.runtimes.base import FunctionSpec
from magnetar.runtimes.kubernetes.loading import load_extensions
from magnetar.runtimes.kubernetes.objects.manifests import Extensions, Objects, build
from magnetar.runtimes.kubernetes.settings import KubernetesSettings
from magnetar.runtimes.process.settings import Credentials
from magnetar_instance.proto.function import FunctionDetails, PackageLocationMetaData

EXAMPLES = Path(__file__).parents[3] / "examples" / "kubernetes"
FACTORY = "org.apache.pulsar.functions.runtime.kubernetes.KubernetesRuntimeFactory"


@pytest.fixture
def extensions(monkeypatch: pytest.MonkeyPatch) -> Extensions:
    monkeypatch.syspath_prepend(EXAMPLES)
    keys = {
        "functionRuntimeFactoryClassName": FACTORY,
        "functionRuntimeFactoryConfigs": {"kubernetesFunctionAuthProviderConfig": {"secretName": "ours"}},
        "runtimeCustomizerClassName": "extensions:TenantNamespaces",
        "runtimeCustomizerConfig": {"prefix": "fn-", "extraLabels": {"team": "core"}},
        "functionAuthProviderClassName": "extensions:SharedSecret",
        "secretsProviderConfiguratorClassName": "extensions:OneSecretForAll",
        "secretsProviderConfiguratorConfig": {"secretName": "all"},
    }
    return load_extensions(load_config(None, keys))


def built(extensions: Extensions, options: str = "") -> Objects:
    details = FunctionDetails(tenant="acme", namespace="n", name="f", runtime=FunctionDetails.PYTHON, parallelism=1)
    details.secretsMap = '{"PASSWORD": "db"}'
    details.customRuntimeOptions = options
    keys = load_config(None, {}).kubernetes_runtime
    settings = KubernetesSettings(keys, "c", "pulsar://b:1", "http://w:1", credentials=Credentials("p", "token:x"))
    return build(settings, FunctionSpec(details, PackageLocationMetaData(originalFileName="f.py")), extensions)


def test_the_examples_classes_are_loaded_and_have_their_say(extensions: Extensions) -> None:
    """Each of the three Protocols, as docs/kubernetes.md shows it."""
    made = built(extensions)
    template = made.stateful_set["spec"]["template"]
    assert made.namespace == "fn-acme"
    assert (template["metadata"]["labels"]["cost-centre"], template["metadata"]["labels"]["team"]) == ("acme", "core")
    assert template["spec"]["volumes"][0]["secret"] == {"secretName": "ours"}
    assert template["spec"]["containers"][0]["env"][1]["valueFrom"]["secretKeyRef"] == {"name": "all", "key": "db"}
    assert "file:///etc/functions-token/token" in template["spec"]["containers"][0]["command"][2]


def test_the_examples_refusals_reach_the_user(extensions: Extensions) -> None:
    """A function can't leave its tenant's namespace."""
    with pytest.raises(RefusedError, match=r"jobNamespace is 'kube-system': functions of acme run in fn-acme"):
        built(extensions, '{"jobNamespace": "kube-system"}')
