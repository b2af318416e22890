import functools
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pulsar
import pytest
from kube.bed import Room, requires_kube
from kube.functions import access, function, reach, settings
from kube.kubelet import PLACEMENT, serving_node
from magnetar.lifecycle import Phase
from magnetar.runtimes.base import FunctionSpec
from magnetar.runtimes.kubernetes.customizer import BasicKubernetesManifestCustomizer
from magnetar.runtimes.kubernetes.instances import by_address
from magnetar.runtimes.kubernetes.objects.manifests import Extensions
from magnetar.runtimes.kubernetes.runtime import KubernetesRuntime
from magnetar.runtimes.kubernetes.secrets import KubernetesSecrets
from magnetar_broker.testing import RunningBroker
from magnetar_instance.image import lay_out

pytestmark = [requires_kube(), pytest.mark.timeout(180)]
CODE = """
import os

def process(input):
    return f"{input}! {os.environ.get('PASSWORD', '')}".strip()
"""


@contextmanager
def package_server(folder: Path) -> Iterator[str]:
    """Serve packages as a worker's REST API does."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    file = folder / "admin/v3/functions/public/default/shout/download"
    file.parent.mkdir(parents=True)
    file.write_text(CODE)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def wired(topic: str, parallelism: int = 1) -> FunctionSpec:
    secrets = json.dumps({"PASSWORD": {"path": "db", "key": "password"}})
    spec = function(options=PLACEMENT, parallelism=parallelism, secretsMap=secrets)
    spec.details.className = "shout"
    spec.details.autoAck = True
    spec.details.source.inputSpecs.clear()
    spec.details.source.inputSpecs[f"persistent://public/default/{topic}-in"].schemaType = ""
    spec.details.source.subscriptionName = topic
    spec.details.sink.topic = f"persistent://public/default/{topic}-out"
    return spec


async def test_pods_download_run_and_answer(kube: Room, pulsar_broker: RunningBroker, tmp_path: Path) -> None:
    """A Python function's pods fetch their package, get a secret by reference, process messages and tell their status."""
    lay_out(tmp_path / "image")
    kube.bed.kubectl("create", "secret", "generic", "db", "--from-literal=password=s3cret", "-n", kube.namespace)
    node = serving_node(kube.bed.kubeconfig, f"node-{kube.namespace}", tmp_path / "image", tmp_path / "pods")
    extensions = Extensions(customizer=BasicKubernetesManifestCustomizer({}), secrets=KubernetesSecrets())
    with package_server(tmp_path / "packages") as url:
        keys = {"pulsarServiceUrl": pulsar_broker.service_url, "pulsarAdminUrl": url, "gracePeriodSeconds": 2}
        runtime = KubernetesRuntime(settings(kube, **keys), extensions, access(kube.bed.kubeconfig), by_address)
        spec = wired(kube.namespace)
        async with node as kubelet, runtime as kubernetes:
            with anyio.fail_after(90):
                await kubernetes.submit(spec)
                await reach(kubernetes, spec, Phase.RUNNING)
                answer = await anyio.to_thread.run_sync(ask, pulsar_broker.service_url, kube.namespace)
                assert answer == "hello! s3cret"
                status = await kubernetes.status(spec, 0)
                assert (status.running, status.numSuccessfullyProcessed) == (True, 1)
                await kubernetes.remove(spec)
            assert kubelet.logs


def ask(url: str, topic: str) -> str:
    """Send a message until the function subscribed early enough to answer."""
    client = pulsar.Client(url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    try:
        consumer = client.subscribe(f"persistent://public/default/{topic}-out", "test")
        client.subscribe(f"persistent://public/default/{topic}-in", topic, pulsar.ConsumerType.Shared).close()
        client.create_producer(f"persistent://public/default/{topic}-in").send(b"hello")
        return bytes(consumer.receive(timeout_millis=60_000).data()).decode()
    finally:
        client.close()
