import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import anyio.abc
import pytest
from kube.bed import Bed, Room, requires_kube
from kube.functions import function, reach, runtime
from magnetar.lifecycle import Phase
from magnetar.runtimes.kubernetes.api.errors import UnreachableError
from magnetar.runtimes.kubernetes.runtime import KubernetesRuntime

pytestmark = [requires_kube(), pytest.mark.timeout(180)]


class Wire:
    """The way to the API server; it can be cut and mended."""

    def __init__(self, bed: Bed) -> None:
        config = json.loads(bed.kubeconfig.read_text())
        self._server = urlsplit(config["clusters"][0]["cluster"]["server"])
        self._config = config
        self._mended = anyio.Event()
        self._mended.set()
        self._cut = anyio.Event()

    def kubeconfig(self, port: int, folder: Path) -> Path:
        self._config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
        path = folder / "kubeconfig"
        path.write_text(json.dumps(self._config))
        return path

    def cut(self) -> None:
        self._mended = anyio.Event()
        self._cut.set()

    def mend(self) -> None:
        self._cut = anyio.Event()
        self._mended.set()

    async def serve(self, client: anyio.abc.SocketStream) -> None:
        async with client:
            if not self._mended.is_set():
                return
            server = await anyio.connect_tcp("127.0.0.1", self._server.port)
            async with server, anyio.create_task_group() as tasks:
                tasks.start_soon(self._pipe, client, server, tasks.cancel_scope)
                tasks.start_soon(self._pipe, server, client, tasks.cancel_scope)
                tasks.start_soon(self._when_cut, tasks.cancel_scope)

    async def _when_cut(self, scope: anyio.CancelScope) -> None:
        await self._cut.wait()
        scope.cancel()

    async def _pipe(
        self, source: anyio.abc.SocketStream, target: anyio.abc.SocketStream, scope: anyio.CancelScope
    ) -> None:
        try:
            async for block in source:
                await target.send(block)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        scope.cancel()


@asynccontextmanager
async def wired(kube: Room, folder: Path) -> AsyncIterator[tuple[Wire, KubernetesRuntime]]:
    wire = Wire(kube.bed)
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, wire.serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with runtime(kube, kubeconfig=wire.kubeconfig(port, folder)) as kubernetes:
            try:
                yield wire, kubernetes
            finally:  # shown when the test fails: whether Kubernetes or its follower stands still
                print(kubernetes.reports(function()))
                print(kube.bed.kubectl("get", "statefulsets,pods", "-n", kube.namespace))
        tasks.cancel_scope.cancel()


async def test_an_api_server_that_goes_away_is_told_and_followed_again(kube: Room, tmp_path: Path) -> None:
    """Reports go on and carry the reason; what happened meanwhile is seen when the API server is back."""
    async with wired(kube, tmp_path) as (wire, kubernetes):
        with anyio.fail_after(150):
            await kubernetes.submit(function())
            await reach(kubernetes, function(), Phase.RUNNING)
            wire.cut()
            while not all("does not answer" in each.reason for each in kubernetes.reports(function())):
                await kubernetes.changed(kubernetes.generation)
            assert {each.phase for each in kubernetes.reports(function())} == {Phase.RUNNING}
            with pytest.raises(UnreachableError, match="does not answer"):
                await kubernetes.submit(function(userConfig='{"a":1}'))
            kube.bed.kubectl("scale", "statefulset", "pf-public-default-shout", "--replicas=3", "-n", kube.namespace)
            wire.mend()
            await reach(kubernetes, function(), Phase.RUNNING, count=3)
            while any(each.reason for each in kubernetes.reports(function())):
                await kubernetes.changed(kubernetes.generation)
            await kubernetes.remove(function())
    assert kube.bed.names("statefulset", kube.namespace) == []
