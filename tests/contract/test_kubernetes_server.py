from __future__ import annotations

import base64
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import jwt
import pulsar
import pytest
from kube.bed import Room, requires_kube
from kube.kubelet import PLACEMENT, serving_node
from magnetar.config import load_config
from magnetar.config.security_keys import TOKEN_PROVIDER
from magnetar.server import Server
from magnetar_broker.testing import RunningBroker, running_broker
from magnetar_instance.image import lay_out

pytestmark = [requires_kube(), pytest.mark.timeout(240)]
SECRET = b"0123456789abcdef0123456789abcdef"
SHOUT = "def process(input):\n    return f'{input}!'\n"
WHISPER = "def process(input):\n    return f'{input}...'\n"
NEVER = "import no_such_module\n\n\ndef process(input):\n    return input\n"
FACTORY = "org.apache.pulsar.functions.runtime.kubernetes.KubernetesRuntimeFactory"
BASIC = "org.apache.pulsar.functions.runtime.kubernetes.BasicKubernetesManifestCustomizer"


@pytest.fixture
def kubeconfig(kube: Room, monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.setenv("KUBECONFIG", str(kube.bed.kubeconfig))
    return kube


class Fleet:
    """Workers with REST on the bed and on one broker, and a client of their API."""

    def __init__(self, room: Room, broker: RunningBroker, folder: Path) -> None:
        self.room = room
        self.broker = broker
        self.folder = folder
        self.port = free_port()

    @asynccontextmanager
    async def worker(
        self, name: str = "one", keys: Mapping[str, Any] | None = None, **more: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        """Run a worker, with keys of its config beside the usual ones, and give a client of its REST API."""
        port = self.port if name == "one" else free_port()
        config = {
            "workerId": name,
            "workerHostname": "127.0.0.1",
            "workerPort": port,
            "pulsarServiceUrl": self.broker.service_url,
            "pulsarWebServiceUrl": self.broker.admin_url,
            "pulsarFunctionsNamespace": f"public/{self.room.namespace}",
            "pulsarFunctionsCluster": self.room.namespace,
            "rescheduleTimeoutMs": 1000,
            "failureCheckFreqMs": 1000,
            "functionRuntimeFactoryClassName": FACTORY,
            "functionRuntimeFactoryConfigs": {
                "jobNamespace": self.room.namespace,
                "pulsarAdminUrl": f"http://127.0.0.1:{self.port}",
                "gracePeriodSeconds": 2,
            },
            "functionInstanceMaxResources": {"cpu": 4},
            "runtimeCustomizerClassName": BASIC,
            "runtimeCustomizerConfig": PLACEMENT,
            "magnetar": {
                "bindAddress": "127.0.0.1",
                "healthPort": 0,
                "metricsPort": 0,
                "dataDirectory": str(self.folder / name),
                "kubernetesReach": "address",
                "kubernetes": {"probes": True, "terminationGracePeriodSeconds": 2},
                **more,
            },
            **(keys or {}),
        }
        async with (
            Server(load_config(None, config)),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, follow_redirects=True) as client,
        ):
            yield client

    @property
    def topic(self) -> str:
        return f"persistent://public/default/{self.room.namespace}"

    def config(self, **changes: Any) -> dict[str, Any]:
        return {
            "tenant": "public",
            "namespace": "default",
            "name": "shout",
            "className": "shout",
            "runtime": "PYTHON",
            "py": "shout.py",
            "inputs": [f"{self.topic}-in"],
            "output": f"{self.topic}-out",
            "subName": "shout",
            "parallelism": 2,
            "cleanupSubscription": True,
            **changes,
        }


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


PATH = "/admin/v3/functions/public/default/shout"


async def send(client: httpx.AsyncClient, method: str, config: dict[str, Any], code: str = SHOUT) -> httpx.Response:
    files = {"functionConfig": (None, json.dumps(config), "application/json"), "data": ("shout.py", code)}
    return await client.request(method, PATH, files=files)


async def status(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = (await client.get(f"{PATH}/status")).json()
    return [each["status"] for each in answer["instances"]]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask until something is so, as a user does who sees REST and kubectl alone."""
    while not await condition():  # noqa: ASYNC110 - nothing in REST tells of it
        await anyio.sleep(0.3)


async def running(client: httpx.AsyncClient, count: int) -> None:
    """Wait until a function runs with so many instances."""

    async def so() -> bool:
        found = await status(client)
        return len(found) == count and all(each["running"] for each in found)

    await until(so)


async def empty(fleet: Fleet, kinds: str) -> None:
    """Wait until nothing of these kinds is left in the namespace."""

    async def so() -> bool:
        return not fleet.room.bed.names(kinds, fleet.room.namespace)

    await until(so)


@contextmanager
def messages(fleet: Fleet) -> Iterator[tuple[pulsar.Producer, pulsar.Consumer]]:
    client = pulsar.Client(fleet.broker.service_url, logger=pulsar.ConsoleLogger(pulsar.LoggerLevel.Error))
    try:
        yield client.create_producer(f"{fleet.topic}-in"), client.subscribe(f"{fleet.topic}-out", "test")
    finally:
        client.close()


async def say(producer: pulsar.Producer, consumer: pulsar.Consumer, text: str) -> str:
    def both() -> str:
        producer.send(text.encode())
        message = consumer.receive(60_000)
        consumer.acknowledge(message)
        return bytes(message.data()).decode()

    return await anyio.to_thread.run_sync(both)


async def tell_the_log(client: httpx.AsyncClient) -> None:
    """Read the log of the pod through the API server, its end first and then followed."""
    path = "/magnetar/v1/logs/public/default/shout"
    [*_, last] = (await client.get(path, params={"tail": 3})).json()
    assert last["instanceId"] == 0
    assert last["line"]
    async with client.stream("GET", path, params={"follow": True, "tail": 1, "instance": 0}) as followed:
        lines = followed.aiter_lines()
        assert last["line"] in await anext(each async for each in lines if each.startswith("data:"))


async def test_a_function_lives_in_kubernetes_from_create_to_delete(
    kubeconfig: Room, pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """Created over REST it downloads its code from this worker and answers; it is rolled, restarted, stopped and deleted."""
    lay_out(tmp_path / "image")
    fleet = Fleet(kubeconfig, pulsar_broker, tmp_path)
    node = serving_node(
        kubeconfig.bed.kubeconfig, f"node-{fleet.room.namespace}", tmp_path / "image", tmp_path / "pods"
    )
    async with node, fleet.worker() as client:
        with anyio.fail_after(200), messages(fleet) as (producer, consumer):
            created = await send(client, "POST", fleet.config())
            assert created.status_code == 204, created.text
            await running(client, 2)
            assert await say(producer, consumer, "hello") == "hello!"
            assert sum(each["numSuccessfullyProcessed"] for each in await status(client)) == 1

            updated = await send(client, "PUT", fleet.config(parallelism=1), WHISPER)
            assert updated.status_code == 204, updated.text
            while await say(producer, consumer, "hello") != "hello...":
                pass
            await running(client, 1)

            manifests = (await client.get("/magnetar/v1/manifests/public/default/shout")).json()
            assert [each["kind"] for each in manifests] == ["Service", "StatefulSet"]
            events = (await client.get("/magnetar/v1/instances/public/default/shout/events")).json()
            assert "SuccessfulCreate" in {each["event"] for each in events if each["instanceId"] is None}
            assert "Scheduled" in {each["event"] for each in events if each["instanceId"] == 0}
            await tell_the_log(client)

            one = await client.post(f"{PATH}/0/stop")
            assert one.status_code == 400
            assert "together" in one.json()["reason"]
            assert (await client.post(f"{PATH}/stop")).status_code == 204
            await empty(fleet, "statefulset")
            assert (await client.post(f"{PATH}/start")).status_code == 204
            await running(client, 1)
            assert (await client.post(f"{PATH}/restart")).status_code == 204
            assert await say(producer, consumer, "again") == "again..."

            assert (await client.delete(PATH)).status_code == 204
            await empty(fleet, "statefulset,service,pod")


async def test_another_worker_takes_over_what_runs(
    kubeconfig: Room, pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """The pods outlive their worker: the next one finds them as they are, and tells their status."""
    lay_out(tmp_path / "image")
    fleet = Fleet(kubeconfig, pulsar_broker, tmp_path)
    node = serving_node(
        kubeconfig.bed.kubeconfig, f"node-{fleet.room.namespace}", tmp_path / "image", tmp_path / "pods"
    )

    def pods() -> list[str]:
        found = fleet.room.bed.get("pods", "-n", fleet.room.namespace)["items"]
        return [each["metadata"]["uid"] for each in found]

    async with node:
        with anyio.fail_after(200):
            async with fleet.worker("one") as client:
                assert (await send(client, "POST", fleet.config())).status_code == 204
                await running(client, 2)
                before = pods()
            async with fleet.worker("two") as client:
                await running(client, 2)
                assert pods() == before
                assert (await client.delete(PATH)).status_code == 204
                await empty(fleet, "statefulset,service,pod")


async def test_status_says_why_a_pod_does_not_run(
    kubeconfig: Room, pulsar_broker: RunningBroker, tmp_path: Path
) -> None:
    """A function whose import fails crash-loops in its pod; exit code and reason are in the status, and in instances."""
    lay_out(tmp_path / "image")
    fleet = Fleet(kubeconfig, pulsar_broker, tmp_path)
    node = serving_node(
        kubeconfig.bed.kubeconfig, f"node-{fleet.room.namespace}", tmp_path / "image", tmp_path / "pods"
    )
    async with node, fleet.worker() as client:
        with anyio.fail_after(120):
            assert (await send(client, "POST", fleet.config(parallelism=1), NEVER)).status_code == 204

            async def told() -> bool:
                return "exit code 78" in (await status(client))[0]["error"]

            await until(told)
            [instance] = (await client.get("/magnetar/v1/instances")).json()
            assert (instance["runtime"], instance["phase"]) == ("kubernetes", "crash-looping")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"customRuntimeOptions": '{"jobName": "' + "x" * 60 + '"}'}, "53 are allowed"),
        ({"customRuntimeOptions": '{"extraLabels": 3}'}, "customRuntimeOptions.extraLabels"),
        ({"resources": {"cpu": 64}}, "functionInstanceMaxResources"),
    ],
)
async def test_what_kubernetes_would_not_have_is_refused_at_create(
    kubeconfig: Room, pulsar_broker: RunningBroker, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    """The answer is 400 with a reason that names the field."""
    fleet = Fleet(kubeconfig, pulsar_broker, tmp_path)
    async with fleet.worker() as client:
        answer = await send(client, "POST", fleet.config(**changes))
        assert answer.status_code == 400
        assert reason in answer.json()["reason"]


async def test_pods_show_the_broker_their_creator_s_token(kubeconfig: Room, tmp_path: Path) -> None:
    """Handed over by REST into a Secret, it lets the pod fetch its code here and work at a broker that wants to know."""
    lay_out(tmp_path / "image")
    secret_key = tmp_path / "secret.key"
    secret_key.write_bytes(SECRET)
    own, creator = (jwt.encode({"sub": role}, SECRET, "HS256") for role in ("worker", "creator"))
    plugin = "org.apache.pulsar.client.impl.auth.AuthenticationToken"
    keys = {
        "authenticationEnabled": True,
        "authorizationEnabled": True,
        "authenticationProviders": [TOKEN_PROVIDER],
        "superUserRoles": ["worker", "creator"],
        "properties": {"tokenSecretKey": str(secret_key)},
        "brokerClientAuthenticationPlugin": plugin,
        "brokerClientAuthenticationParameters": f"token:{own}",
    }
    with running_broker(arguments=["--token-secret-key", str(secret_key)]) as broker:
        fleet = Fleet(kubeconfig, broker, tmp_path)
        room = fleet.room
        node = serving_node(room.bed.kubeconfig, f"node-{room.namespace}", tmp_path / "image", tmp_path / "pods")
        async with node, fleet.worker(keys=keys) as client:
            with anyio.fail_after(200):
                client.headers["Authorization"] = f"Bearer {creator}"
                created = await send(client, "POST", fleet.config(parallelism=1))
                assert created.status_code == 204, created.text
                assert "X-Magnetar-Warning" not in created.headers
                await running(client, 1)
                [name] = [each for each in room.bed.names("secret", room.namespace) if each.startswith("pf-secret-")]
                held = room.bed.get("secret", name, "-n", room.namespace)["data"]["token"]
                assert base64.b64decode(held).decode() == creator
                [pod] = room.bed.get("pods", "-n", room.namespace)["items"]
                assert own not in json.dumps(pod)
                assert creator not in json.dumps(pod)
                assert (await client.delete(PATH)).status_code == 204
