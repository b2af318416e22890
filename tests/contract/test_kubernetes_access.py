import json
import os
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from certificates import Authority
from kube.bed import Room, requires_kube
from kube.functions import access
from magnetar.errors import StartError
from magnetar.runtimes.kubernetes.api.access import Access
from magnetar.runtimes.kubernetes.api.client import SECRET, SERVICE, STATEFUL_SET, KubernetesClient, Patience
from magnetar.runtimes.kubernetes.api.errors import ConflictError, InvalidError, KubernetesError, UnreachableError

pytestmark = [requires_kube(), pytest.mark.timeout(180)]
RULES = [{"apiGroups": [""], "resources": ["services"], "verbs": ["list"]}]


def plugin(folder: Path, body: str) -> Path:
    """Write a credential plugin."""
    path = folder / "plugin"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def with_plugin(room: Room, folder: Path, command: Path, version: str = "v1") -> Access:
    config = json.loads((room.bed.folder / "kubeconfig.token").read_text())
    api = f"client.authentication.k8s.io/{version}"
    config["users"][0]["user"] = {"exec": {"apiVersion": api, "command": str(command), "args": [], "env": []}}
    path = folder / "config"
    path.write_text(json.dumps(config))
    return access(path)


async def another_token(room: Room, old: str) -> str:
    """Make the service account anew; returns its token once the API server has forgotten the old one."""
    room.bed.kubectl("delete", "serviceaccount", "worker", "-n", room.namespace)
    room.bed.kubectl("create", "serviceaccount", "worker", "-n", room.namespace)
    server = json.loads(room.bed.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    headers = {"Authorization": f"Bearer {old}"}
    with anyio.fail_after(60):
        async with httpx.AsyncClient(verify=ssl_context(room), headers=headers) as client:
            # The API server's cache tells nobody when it forgets.
            while (await client.get(f"{server}/api")).status_code != 401:  # noqa: ASYNC110
                await anyio.sleep(0.5)
    return room.bed.token(room.namespace, "worker")


def ssl_context(room: Room) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=room.bed.folder / "pki" / "ca.crt")


async def test_a_worker_in_a_pod_uses_its_service_account_and_follows_its_rotation(kube: Room, tmp_path: Path) -> None:
    """A token that was replaced is read anew when the old one is refused."""
    kube.bed.account(kube.namespace, "worker", RULES)
    folder, server = kube.bed.service_account_folder(kube.namespace, "worker", tmp_path / "account")
    host, port = server.removeprefix("https://").split(":")
    os.environ.update({"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port})
    try:
        way = Access(inside_pod=True, service_account=folder, environ={})
        async with KubernetesClient(way) as client:
            assert (await client.find(SERVICE, kube.namespace)).items == []
            (folder / "token").write_text(await another_token(kube, (folder / "token").read_text()))
            assert (await client.find(SERVICE, kube.namespace)).items == []
    finally:
        del os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]


async def test_a_worker_in_a_pod_needs_no_key_at_all(kube: Room, tmp_path: Path) -> None:
    """Without a kubeconfig the service account of the pod is found, as a worker embedded in a broker's pod needs it."""
    kube.bed.account(kube.namespace, "worker", RULES)
    folder, server = kube.bed.service_account_folder(kube.namespace, "worker", tmp_path / "account")
    host, port = server.removeprefix("https://").split(":")
    os.environ.update({"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port})
    try:
        way = Access(service_account=folder, environ={"KUBECONFIG": str(tmp_path / "none")})
        async with KubernetesClient(way) as client:
            assert (await client.find(SERVICE, kube.namespace)).items == []
    finally:
        del os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_credential_plugins_are_run_and_run_again(kube: Room, tmp_path: Path, version: str) -> None:
    """The plugin is told the version it answers in; a token that is refused is had anew."""
    kube.bed.account(kube.namespace, "worker", RULES)
    (tmp_path / "token").write_text(kube.bed.token(kube.namespace, "worker"))
    answer = '{"kind": "ExecCredential", "status": {"token": "\'$(cat ' + str(tmp_path / "token") + ")'\"}}"
    body = f"echo \"$KUBERNETES_EXEC_INFO\" >> {tmp_path / 'asked'}\necho '{answer}'"
    way = with_plugin(kube, tmp_path, plugin(tmp_path, body), version)
    async with KubernetesClient(way) as client:
        assert (await client.find(SERVICE, kube.namespace)).items == []
        (tmp_path / "token").write_text(await another_token(kube, (tmp_path / "token").read_text()))
        assert (await client.find(SERVICE, kube.namespace)).items == []
    asked = [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]
    assert len(asked) == 2
    assert asked[0]["apiVersion"].endswith(version)


async def test_a_plugin_may_answer_with_a_client_certificate(kube: Room, tmp_path: Path) -> None:
    """One that the API server does not know is refused, and the plugin is asked for another."""
    stranger, known = (
        Authority(tmp_path).issue("stranger"),
        [kube.bed.folder / "pki" / f"admin.{end}" for end in ("crt", "key")],
    )
    for number, (certificate, key) in enumerate((stranger, known)):
        status = {"clientCertificateData": certificate.read_text(), "clientKeyData": key.read_text()}
        (tmp_path / f"answer-{number}").write_text(json.dumps({"kind": "ExecCredential", "status": status}))
    body = f"cd {tmp_path}; cat answer-0; test ! -e answer-1 || mv answer-1 answer-0"
    async with KubernetesClient(with_plugin(kube, tmp_path, plugin(tmp_path, body))) as client:
        for _ in range(2):
            assert (await client.find(SERVICE, kube.namespace)).items == []
    assert not (tmp_path / "answer-1").exists()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo no login >&2; exit 3", "ended with exit code 3: no login"),
        ("echo nothing", "did not answer with a token"),
    ],
)
async def test_a_plugin_that_fails_stops_the_start_with_its_words(
    kube: Room, tmp_path: Path, body: str, message: str
) -> None:
    """The plugin's own last line is the reason."""
    way = with_plugin(kube, tmp_path, plugin(tmp_path, body))
    with pytest.raises(StartError, match=message):
        async with KubernetesClient(way):
            pass


async def test_nowhere_to_go_is_told_with_what_was_looked_for(tmp_path: Path) -> None:
    """No kubeconfig and no service account: the line says what to set."""
    way = Access(service_account=tmp_path, environ={"KUBECONFIG": str(tmp_path / "none")})
    with pytest.raises(StartError, match=r"no kubeconfig .*none.*set submittingInsidePod.*KUBECONFIG or k8Uri"):
        async with KubernetesClient(way):
            pass


async def test_an_api_server_that_does_not_answer_is_told_and_not_waited_for_long() -> None:
    """k8Uri is taken as it is; nobody listens there."""
    way = Access(uri="http://127.0.0.1:1")
    async with KubernetesClient(way, Patience(attempts=2, pause=0.01)) as client:
        with pytest.raises(UnreachableError, match="does not answer"):
            await client.get(SERVICE, "default", "x")


async def test_what_we_do_not_know_reaches_the_api_server(kube: Room) -> None:
    """A field that no library knows is not lost on the way: the API server itself says what it thinks of it."""
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "x", "namespace": kube.namespace},
        "spec": {
            "serviceName": "x",
            "selector": {"matchLabels": {"a": "b"}},
            "template": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}], "futureField": {"x": 1}},
            },
        },
    }
    async with KubernetesClient(access(kube.bed.kubeconfig)) as client:
        with pytest.raises(InvalidError, match="futureField"):
            await client.apply(manifest)


async def test_creating_what_is_there_is_a_conflict_and_deleting_what_is_not_is_none(kube: Room) -> None:
    """Nobody takes an object that is there for the one just made."""
    secret: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "x", "namespace": kube.namespace},
    }
    async with KubernetesClient(access(kube.bed.kubeconfig)) as client:
        await client.create(secret)
        with pytest.raises(ConflictError, match="already exists"):
            await client.create(secret)
        assert await client.delete(SECRET, kube.namespace, "x")
        assert not await client.delete(SECRET, kube.namespace, "x")
        assert await client.get(STATEFUL_SET, kube.namespace, "x") is None


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve these answers, one for each connection."""
    seen: list[bytes] = []
    left = list(answers)

    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            seen.append(await stream.receive())
            await stream.send(left.pop(0))

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield f"http://127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}", seen
        tasks.cancel_scope.cancel()


def answer(status: str, body: dict[str, Any], *headers: str) -> bytes:
    text = json.dumps({"kind": "Status", "apiVersion": "v1", **body}).encode()
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(text)}", *headers]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + text


async def test_throttling_is_respected() -> None:
    """429 with Retry-After is waited for as long as the API server asks, and then the request succeeds."""
    busy = answer("429 Too Many Requests", {"code": 429, "message": "slow down"}, "Retry-After: 1")
    done = answer("200 OK", {"metadata": {"name": "x"}})
    async with answering(busy, done) as (url, seen), KubernetesClient(Access(uri=url)) as client:
        began = anyio.current_time()
        assert await client.get(SERVICE, "default", "x") is not None
        assert anyio.current_time() - began >= 1
        assert len(seen) == 2


@pytest.mark.parametrize(("status", "kind"), [(500, UnreachableError), (422, InvalidError), (409, ConflictError)])
async def test_only_what_may_pass_is_tried_again(status: int, kind: type[KubernetesError]) -> None:
    """A failing API server is asked again, a refusal is final."""
    refusal = answer(f"{status} No", {"code": status, "message": "because"})
    way = Access(uri="")
    async with answering(refusal, refusal) as (url, seen):
        way = Access(uri=url)
        async with KubernetesClient(way, Patience(attempts=2, pause=0.01)) as client:
            with pytest.raises(kind, match="because"):
                await client.get(SERVICE, "default", "x")
        assert len(seen) == (2 if kind is UnreachableError else 1)
