import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from magnetar.config.runtime_keys import InstanceResources, KubernetesRuntimeConfig
from magnetar.errors import RefusedError
from magnetar.model.names import FunctionName
from magnetar.runtimes.base import FunctionSpec
from magnetar.runtimes.kubernetes.admission import admit
from magnetar.runtimes.kubernetes.objects.manifests import Extensions
from magnetar.runtimes.kubernetes.objects.naming import job_name, label_value, pod_address
from magnetar.runtimes.kubernetes.objects.quantities import Ratios, container_resources
from magnetar.runtimes.kubernetes.secrets import KubernetesSecrets
from magnetar.runtimes.kubernetes.settings import Bounds, KubernetesSettings
from magnetar_instance.proto.function import FunctionDetails, PackageLocationMetaData, Resources


def sha(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()[:8]


@pytest.mark.parametrize(
    ("function", "configured", "expected"),
    [
        (("public", "default", "shout"), None, "pf-public-default-shout"),
        (("public", "default", "Shout_1"), None, f"pf-public-default-shout-1-{sha('public-default-Shout_1')}"),
        (("public", "default", "a.b"), None, f"pf-public-default-a-b-{sha('public-default-a.b')}"),
        (("t", "n", "end-"), None, f"pf-t-n-end--{sha('t-n-end-')}"),
        (("t", "n", "f"), "My_Job", f"my-job-{sha('My_Job-t-n-f')}"),
    ],
)
def test_job_names_are_pulsars(function: tuple[str, str, str], configured: str | None, expected: str) -> None:
    """A plain name is taken as it is; one that was changed, and every configured one, carries a hash of the whole."""
    assert job_name(FunctionName(*function), configured) == expected


@pytest.mark.parametrize(
    ("function", "configured", "message"),
    [(("t", "n", "f" * 47), None, r"53 are allowed: shorten it or set a jobName"), (("t", "n", "f"), "1st", "letter")],
)
def test_names_that_kubernetes_refuses_are_refused_at_create(
    function: tuple[str, str, str], configured: str | None, message: str
) -> None:
    """The sentence says how long the name is or what it must begin with."""
    with pytest.raises(RefusedError, match=message):
        job_name(FunctionName(*function), configured)


@given(st.text())
def test_label_values_are_valid_and_short(text: str) -> None:
    """Whatever a tenant is called, Kubernetes takes it as a label: letters or digits at the ends, 63 at most."""
    value = label_value(text)
    assert len(value) <= 63
    assert not value or (value[0].isalnum() and value[-1].isalnum())
    assert all(char.isascii() and (char.isalnum() or char in "-_.") for char in value)


def test_pods_are_addressed_through_the_headless_service() -> None:
    """The suffix is the cluster's own where it was configured."""
    assert pod_address("job", 2, "ns", None) == "job-2.job.ns.svc.cluster.local"
    assert pod_address("job", 0, "ns", "svc.example.org") == "job-0.job.ns.svc.example.org"


def test_requests_are_what_was_asked_for_over_the_ratio_and_memory_is_padded() -> None:
    """Rounded as Pulsar rounds: memory down to bytes, cores half up to a thousandth."""
    resources = container_resources(Resources(cpu=1, ram=1000), Ratios(3, 3, 10))
    assert resources == {
        "requests": {"cpu": "0.333", "memory": "366"},
        "limits": {"cpu": "1.0", "memory": "1100"},
    }


def test_a_function_that_asks_for_nothing_gets_a_core_and_a_gibibyte() -> None:
    """Zero counts as not asked for."""
    assert container_resources(Resources(), Ratios(memory_padding=0)) == {
        "requests": {"cpu": "1.0", "memory": "1073741824"},
        "limits": {"cpu": "1.0", "memory": "1073741824"},
    }


def admitted(bounds: Bounds | None = None, *, cpu: float = 1, ram: int = 1 << 30, secrets: str = "") -> None:
    details = FunctionDetails(tenant="t", namespace="n", name="f", runtime=FunctionDetails.PYTHON, secretsMap=secrets)
    details.resources.cpu, details.resources.ram = cpu, ram
    settings = KubernetesSettings(
        KubernetesRuntimeConfig(), "c", "pulsar://b:1", "http://w:1", bounds=bounds or Bounds()
    )
    admit(settings, FunctionSpec(details, PackageLocationMetaData()), Extensions(secrets=KubernetesSecrets()))


def test_resources_are_held_to_the_workers_bounds() -> None:
    """Every violated bound is named with the value, in one answer."""
    bounds = Bounds(minimum=InstanceResources(cpu=2), maximum=InstanceResources(ram=1 << 20))
    admitted(Bounds(minimum=InstanceResources(cpu=1), maximum=InstanceResources(ram=1 << 30)))
    with pytest.raises(RefusedError, match=r"resources.cpu 1 is below .*MinResources of 2; resources.ram .* above"):
        admitted(bounds)


def test_resources_are_multiples_of_the_granularity_in_lock_step() -> None:
    """Cores are counted in thousandths; in lock step both must be the same multiple."""
    steps = InstanceResources(cpu=0.1, ram=1 << 20)
    admitted(Bounds(granularity=steps), cpu=0.3, ram=5 << 20)
    with pytest.raises(RefusedError, match=r"resources.cpu 0.25 is no multiple"):
        admitted(Bounds(granularity=steps), cpu=0.25, ram=5 << 20)
    admitted(Bounds(granularity=steps, in_lock_step=True), cpu=0.3, ram=3 << 20)
    with pytest.raises(RefusedError, match="same multiple"):
        admitted(Bounds(granularity=steps, in_lock_step=True), cpu=0.3, ram=5 << 20)


def test_secrets_name_a_kubernetes_secret_and_a_field() -> None:
    """Anything else is refused by the secret's name."""
    admitted(secrets='{"A": {"path": "p", "key": "k"}}')
    with pytest.raises(RefusedError, match=r"secrets.A is \"text\": give \{path"):
        admitted(secrets='{"A": "text"}')
