import base64
from pathlib import Path

import anyio
import pytest
from kube.bed import Room, requires_kube
from kube.functions import access, function, reach, settings
from magnetar.lifecycle import Phase
from magnetar.runtimes.base import FunctionSpec
from magnetar.runtimes.kubernetes.auth import KubernetesSecretsTokenAuthProvider, secret_name
from magnetar.runtimes.kubernetes.objects.manifests import Extensions
from magnetar.runtimes.kubernetes.runtime import KubernetesRuntime
from magnetar.runtimes.process.settings import Credentials

pytestmark = [requires_kube(), pytest.mark.timeout(180)]


def runtime(room: Room, certificates: str = "") -> KubernetesRuntime:
    config = settings(room)
    worker = Credentials(
        "org.apache.pulsar.client.impl.auth.AuthenticationToken", "token:w", tls_trust_cert_path=certificates
    )
    config = type(config)(**{**vars(config), "credentials": worker})
    extensions = Extensions(auth=KubernetesSecretsTokenAuthProvider(), certificates=bool(certificates))
    return KubernetesRuntime(config, extensions, access(room.bed.kubeconfig))


def with_auth(spec: FunctionSpec, auth: object) -> FunctionSpec:
    return FunctionSpec(spec.details, spec.package, auth)


def data(room: Room, name: str) -> dict[str, str]:
    found = room.bed.get("secret", name, "-n", room.namespace)["data"]
    return {key: base64.b64decode(value).decode() for key, value in found.items()}


async def test_a_creators_token_becomes_a_secret_and_goes_with_the_function(kube: Room, tmp_path: Path) -> None:
    """It is mounted into the pods, renewed by an update, kept over a stop and removed with the function."""
    (tmp_path / "ca.pem").write_text("certificates")
    async with runtime(kube, str(tmp_path / "ca.pem")) as kubernetes:
        with anyio.fail_after(90):
            auth = await kubernetes.keep_credentials(function(), "jwt-1")
            spec = with_auth(function(), auth)
            name = secret_name(auth)
            assert name.startswith("pf-secret-")
            assert data(kube, name) == {"token": "jwt-1", "ca.pem": "certificates"}
            await kubernetes.submit(spec)
            await reach(kubernetes, spec, Phase.RUNNING)
            pod = kube.bed.get("pods", "-n", kube.namespace)["items"][0]["spec"]
            assert {"name": "function-auth", "secret": {"secretName": name, "defaultMode": 420}} in pod["volumes"]
            assert await kubernetes.keep_credentials(spec, "jwt-2") == auth
            assert data(kube, name)["token"] == "jwt-2"
            await kubernetes.stop(spec)
            assert kube.bed.names("secret", kube.namespace) == [name]
            await kubernetes.remove(spec)
    assert kube.bed.names("secret", kube.namespace) == []


async def test_a_stopped_function_leaves_no_secret_when_it_is_deleted(kube: Room) -> None:
    """Even by a worker that never ran it and does not know the Secret's name (Pulsar leaks it)."""
    async with runtime(kube) as first:
        await first.keep_credentials(function(), "jwt")
    assert len(kube.bed.names("secret", kube.namespace)) == 1
    async with runtime(kube) as second:
        with anyio.fail_after(60):
            await second.remove(function())
    assert kube.bed.names("secret", kube.namespace) == []


async def test_an_update_without_a_token_takes_the_old_one_away(kube: Room) -> None:
    """The Secret goes and the metadata hold nothing of it any more."""
    async with runtime(kube) as kubernetes:
        auth = await kubernetes.keep_credentials(function(), "jwt")
        assert await kubernetes.keep_credentials(with_auth(function(), auth), None) is None
    assert kube.bed.names("secret", kube.namespace) == []


async def test_secrets_of_unknown_functions_are_swept(kube: Room) -> None:
    """Those of functions that are there, and others' Secrets, stay."""
    kube.bed.kubectl("create", "secret", "generic", "others", "-n", kube.namespace)
    async with runtime(kube) as kubernetes:
        with anyio.fail_after(60):
            kept = await kubernetes.keep_credentials(function("kept"), "jwt")
            await kubernetes.keep_credentials(function("left"), "jwt")
            for _ in range(2):
                await kubernetes.sweep(["public/default/kept"])
    assert kube.bed.names("secret", kube.namespace) == ["others", secret_name(kept)]


async def test_an_expired_token_is_told_in_status(kube: Room) -> None:
    """The pods run on as long as the broker lets them; what to do about it stands in every report."""
    claims = base64.urlsafe_b64encode(b'{"sub": "me", "exp": 1000}').decode().rstrip("=")
    async with runtime(kube) as kubernetes:
        with anyio.fail_after(60):
            expired = with_auth(function(), await kubernetes.keep_credentials(function(), f"e30.{claims}.x"))
            await kubernetes.submit(expired)
            [first, second] = await reach(kubernetes, expired, Phase.RUNNING)
            assert first == second
            assert "expired at 1970-01-01T00:16:40+00:00: update it with updateAuthData" in first
            await kubernetes.keep_credentials(expired, "no-jwt-at-all")
            await kubernetes.submit(expired)
            assert await reach(kubernetes, expired, Phase.RUNNING) == ["", ""]
            await kubernetes.remove(expired)
