import anyio
import pytest
from kube.bed import Room, requires_kube
from kube.functions import function, runtime, settings
from magnetar.runtimes.kubernetes.runtime import KubernetesRuntime

pytestmark = [requires_kube(), pytest.mark.timeout(180)]


def change(room: Room, **data: str) -> None:
    metadata = {"name": "changes", "namespace": room.namespace}
    room.bed.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


def image(room: Room, name: str) -> str:
    found = room.bed.get("statefulset", f"pf-public-default-{name}", "-n", room.namespace)
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


async def taken_up(kubernetes: KubernetesRuntime, wanted: str) -> None:
    while kubernetes.settings.keys.pulsar_docker_image_name != wanted:
        await kubernetes.changed(kubernetes.generation)


async def test_a_config_map_counts_for_what_is_submitted_later(kube: Room) -> None:
    """Its settings are there before the first function; a change leaves running functions alone, and deleting it ends it."""
    change(kube, pulsarDockerImageName="acme/one")
    config = settings(kube, changeConfigMap="changes", changeConfigMapNamespace=kube.namespace)
    async with runtime(kube, config) as kubernetes:
        with anyio.fail_after(60):
            await kubernetes.submit(function("first"))
            change(kube, pulsarDockerImageName="acme/two")
            await taken_up(kubernetes, "acme/two")
            await kubernetes.submit(function("first"))
            await kubernetes.submit(function("second"))
            kube.bed.kubectl("delete", "configmap", "changes", "-n", kube.namespace)
            await taken_up(kubernetes, "apachepulsar/pulsar")
        assert (image(kube, "first"), image(kube, "second")) == ("acme/one", "acme/two")


async def test_what_is_wrong_in_a_config_map_is_told_and_the_rest_counts(
    kube: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """Each key by itself: one that is unknown, one that can't be changed, one with a bad value."""
    change(kube, cpuOverCommitRatio="much", imagePullPolcy="Always", k8Uri="http://x", imagePullPolicy="Always")
    config = settings(kube, changeConfigMap="changes", changeConfigMapNamespace=kube.namespace)
    caplog.set_level("INFO", "magnetar")
    async with runtime(kube, config) as kubernetes:
        keys = kubernetes.settings.keys
    assert (keys.image_pull_policy, keys.cpu_over_commit_ratio, keys.k8_uri) == ("Always", 1.0, None)
    for said in ("cpuOverCommitRatio is 'much'", "imagePullPolcy", "k8Uri can't be", "imagePullPolicy: "):
        assert said in caplog.text


async def test_a_config_map_that_is_missing_is_told_and_waited_for(
    kube: Room, caplog: pytest.LogCaptureFixture
) -> None:
    """The file's settings count until it is there."""
    config = settings(kube, changeConfigMap="changes", changeConfigMapNamespace=kube.namespace)
    async with runtime(kube, config) as kubernetes:
        assert "no such ConfigMap" in caplog.text
        change(kube, pulsarDockerImageName="acme/late")
        with anyio.fail_after(60):
            await taken_up(kubernetes, "acme/late")
