"""A kubelet for tests: runs the containers of the pods on one node as processes of this host.

There are no namespaces of the kernel here: each pod gets an address of its own in 127.0.0.0/8, which its instance is told to
bind to, and a private root folder; paths of the image and of volumes are replaced in the command by those below it.
"""

import base64
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from subprocess import STDOUT
from typing import Any

import anyio
import anyio.abc
import grpc
import httpx2
from kube.pod_logs import serving_logs
from lightkube import AsyncClient
from lightkube.config.kubeconfig import KubeConfig
from lightkube.models.core_v1 import NodeSpec, Taint
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import Node, NodeStatus, Pod, PodStatus, Secret
from lightkube.types import PatchType
from magnetar_instance.proto.health import HealthCheckRequest, HealthCheckResponse

SELECTOR = {"kubelet": "real"}
"""The label of the node: a pod with this node selector is run for real."""
PLACEMENT: dict[str, Any] = {
    "nodeSelectorLabels": SELECTOR,
    "tolerations": [{"key": "kubelet", "operator": "Exists", "effect": "NoSchedule"}],
}
"""Options of the basic customizer that bring pods here; other tests' pods are kept away by a taint."""
_HEARTBEAT = 20.0
_BACK_OFF = 0.2


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class PodRun:
    """One pod on this node."""

    pod: dict[str, Any]
    address: str
    root: Path
    stopping: anyio.Event = field(default_factory=anyio.Event)
    restarts: int = 0
    last: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.pod["metadata"]["namespace"])

    @property
    def container(self) -> dict[str, Any]:
        found: dict[str, Any] = self.pod["spec"]["containers"][0]
        return found

    @property
    def log(self) -> Path:
        return self.root / "log"


class Kubelet:
    """Serves one node; `image` is the folder that stands for `/pulsar` in every image."""

    def __init__(self, client: AsyncClient, node: str, image: Path, folder: Path) -> None:
        self._client = client
        self._node = node
        self._image = image
        self._folder = folder
        self._addresses = count(2)
        self._runs: dict[str, PodRun] = {}
        self._logs_port = 0
        self.logs: dict[str, Path] = {}

    def ended(self, pod: str) -> bool:
        """Whether a pod was told to stop."""
        return all(run.stopping.is_set() for run in self._runs.values() if run.name == pod)

    async def register(self, logs_port: int) -> None:
        """Make the node known, and where the API server asks for logs."""
        self._logs_port = logs_port
        labels = {"kubernetes.io/hostname": self._node, **SELECTOR}
        taint = Taint(key="kubelet", value="real", effect="NoSchedule")
        await self._client.create(
            Node(metadata=ObjectMeta(name=self._node, labels=labels), spec=NodeSpec(taints=[taint]))
        )
        await self._beat()

    async def _beat(self) -> None:
        size = {"cpu": "64", "memory": "256Gi", "pods": "100"}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "tests"}
        condition = {**ready, "lastHeartbeatTime": now(), "lastTransitionTime": now()}
        status = {
            "conditions": [condition],
            "capacity": size,
            "allocatable": size,
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._logs_port}},
        }
        await self._client.patch(NodeStatus, self._node, {"status": status}, patch_type=PatchType.MERGE)

    async def run(self) -> None:
        """Run what is scheduled onto the node, for ever."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_beating)
            async for change, found in self._client.watch(Pod, namespace="*", fields={"spec.nodeName": self._node}):
                pod = found.to_dict()
                uid = pod["metadata"]["uid"]
                if change == "DELETED":
                    continue
                if uid not in self._runs and "deletionTimestamp" not in pod["metadata"]:
                    self._runs[uid] = self._admit(pod)
                    tasks.start_soon(self._keep_running, self._runs[uid], name=f"pod {pod['metadata']['name']}")
                if "deletionTimestamp" in pod["metadata"] and uid in self._runs:
                    self._runs[uid].stopping.set()

    async def _keep_beating(self) -> None:
        while True:
            await anyio.sleep(_HEARTBEAT)
            await self._beat()

    def _admit(self, pod: dict[str, Any]) -> PodRun:
        address = f"127.77.{os.getpid() % 250}.{next(self._addresses)}"
        run = PodRun(pod, address, self._folder / pod["metadata"]["uid"])
        run.root.mkdir(parents=True)
        (run.root / "pulsar").symlink_to(self._image)
        self.logs[run.name] = run.log
        return run

    async def _keep_running(self, run: PodRun) -> None:
        try:
            while not run.stopping.is_set():
                await self._once(run)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(10):
                await self._bury(run)

    async def _once(self, run: PodRun) -> None:
        """Start the container, wait for its end, tell it, and back off a little."""
        environment = await self._environment(run)
        command = [await self._translated(run, word) for word in run.container["command"]]
        with run.log.open("ab") as log:
            process = await anyio.open_process(
                command, env=environment, cwd=run.root, stdout=log, stderr=STDOUT, start_new_session=True
            )
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._tell_running, run)
                tasks.start_soon(self._stop_when_asked, run, process)
                code = await process.wait()
                tasks.cancel_scope.cancel()
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                with anyio.CancelScope(shield=True):
                    await process.wait()
        if run.stopping.is_set():
            return
        run.restarts += 1
        run.last = {"terminated": {"exitCode": abs(code), "reason": "Error", "startedAt": now(), "finishedAt": now()}}
        await self._tell(
            run, {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off of the tests"}}, ready=False
        )
        with anyio.move_on_after(_BACK_OFF * 2 ** min(run.restarts, 5)):
            await run.stopping.wait()

    async def _stop_when_asked(self, run: PodRun, process: anyio.abc.Process) -> None:
        await run.stopping.wait()
        grace = run.pod["spec"].get("terminationGracePeriodSeconds", 30)
        if grace:
            os.killpg(process.pid, signal.SIGTERM)
            await anyio.sleep(grace)
        os.killpg(process.pid, signal.SIGKILL)

    async def _environment(self, run: PodRun) -> dict[str, str]:
        """Return the container's environment; what an image would bring is the PATH alone."""
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        environment = {"PATH": path, "HOME": str(run.root), "MAGNETAR_BIND_ADDRESS": run.address}
        for each in run.container.get("env", []):
            environment[each["name"]] = await self._value(run, each)
        return environment

    async def _value(self, run: PodRun, variable: Mapping[str, Any]) -> str:
        source = variable.get("valueFrom", {})
        if "fieldRef" in source:
            fields = {
                "metadata.name": run.name,
                "metadata.namespace": run.namespace,
                "status.podIP": run.address,
            }
            return fields[source["fieldRef"]["fieldPath"]]
        if "secretKeyRef" in source:
            secret = await self._client.get(Secret, source["secretKeyRef"]["name"], namespace=run.namespace)
            return base64.b64decode(secret.data[source["secretKeyRef"]["key"]]).decode()
        return str(variable.get("value", ""))

    async def _translated(self, run: PodRun, word: str) -> str:
        """Undo the doubling of dollars, and put paths of the image and of volumes below the private root."""
        word = word.replace("$$", "$").replace("/pulsar/", f"{run.root}/pulsar/")
        for mount in run.container.get("volumeMounts", []):
            target = run.root / mount["mountPath"].lstrip("/")
            await self._lay_out(run, mount["name"], target)
            word = word.replace(mount["mountPath"], str(target))
        return word

    async def _lay_out(self, run: PodRun, volume: str, target: Path) -> None:
        spec = next(each for each in run.pod["spec"]["volumes"] if each["name"] == volume)
        await anyio.Path(target).mkdir(parents=True, exist_ok=True)
        if "secret" in spec:
            secret = await self._client.get(Secret, spec["secret"]["secretName"], namespace=run.namespace)
            for name, value in secret.data.items():
                (target / name).write_bytes(base64.b64decode(value))

    async def _tell_running(self, run: PodRun) -> None:
        running = {"running": {"startedAt": now()}}
        probe = run.container.get("readinessProbe")
        await self._tell(run, running, ready=probe is None)
        if probe is None:
            return
        told = False
        while True:
            ready = await _serves(run.address, probe["grpc"]["port"])
            if ready != told:
                await self._tell(run, running, ready=ready)
                told = ready
            await anyio.sleep(min(0.5, probe["periodSeconds"]))

    async def _tell(self, run: PodRun, state: dict[str, Any], *, ready: bool) -> None:
        word = "True" if ready else "False"
        conditions = [
            {"type": kind, "status": word, "lastTransitionTime": now()} for kind in ("Ready", "ContainersReady")
        ]
        container = {
            "name": run.container["name"],
            "image": run.container["image"],
            "imageID": "",
            "ready": ready,
            "started": "running" in state,
            "restartCount": run.restarts,
            "state": state,
            **({"lastState": run.last} if run.last else {}),
        }
        status = {
            "phase": "Running",
            "podIP": run.address,
            "podIPs": [{"ip": run.address}],
            "startTime": now(),
            "conditions": conditions,
            "containerStatuses": [container],
        }
        await self._client.patch(
            PodStatus, run.name, {"status": status}, namespace=run.namespace, patch_type=PatchType.MERGE
        )

    async def _bury(self, run: PodRun) -> None:
        try:
            await self._client.delete(Pod, run.name, namespace=run.namespace, grace_period=0)
        except httpx2.HTTPStatusError as error:
            if error.response.status_code != 404:
                raise


async def _serves(address: str, port: int) -> bool:
    options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"{address}:{port}", options=options) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check", HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
        )
        try:
            answer = await check(HealthCheckRequest(), timeout=2)
        except grpc.aio.AioRpcError:
            return False
        return bool(answer.status == HealthCheckResponse.SERVING)


@asynccontextmanager
async def serving_node(kubeconfig: Path, node: str, image: Path, folder: Path) -> AsyncIterator[Kubelet]:
    """Serve a node while the context is open; its pods end with it."""
    async with AsyncClient(KubeConfig.from_file(kubeconfig)) as client:
        kubelet = Kubelet(client, node, image, folder)
        async with (
            serving_logs(kubelet.logs, kubelet.ended, folder / "certificates") as port,
            anyio.create_task_group() as tasks,
        ):
            await kubelet.register(port)
            tasks.start_soon(kubelet.run, name=f"kubelet of {node}")
            try:
                yield kubelet
            finally:
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await client.delete(Node, node)
