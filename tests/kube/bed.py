"""The fixture `kube`: one real API server for the whole test run, and who may do what on it."""

import base64
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from requirements import requires

HERE = Path(__file__).resolve().parent


def _up() -> ModuleType:
    loader = SourceFileLoader("kube_up", str(HERE / "up"))
    spec = spec_from_loader("kube_up", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def found() -> bool:
    """Whether a bed can be brought up: it is built, or it must be and Go is here to build it."""
    wanted = "kube" in os.environ.get("MAGNETAR_REQUIRE", "").split(",")
    return bool(_up().cached_binary().exists()) or (wanted and shutil.which("go") is not None)


def requires_kube() -> pytest.MarkDecorator:
    """Return the mark of tests on the bed."""
    return requires("kube", found)


@dataclass(frozen=True)
class Bed:
    """A running bed: `kubeconfig` is the administrator's."""

    folder: Path
    binary: Path

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def kubectl(self, *words: str, text: str | None = None) -> str:
        command = [str(self.binary), "kubectl", *words]
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig)}
        ran = subprocess.run(
            command, env=environment, input=text, capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def get(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", *words, "-o", "json"))
        return found

    def names(self, kind: str, namespace: str) -> list[str]:
        return [item["metadata"]["name"] for item in self.get(kind, "-n", namespace)["items"]]

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
        self.kubectl("apply", "-f", "-", text=text)

    def account(self, namespace: str, name: str, rules: Sequence[Mapping[str, Any]]) -> Path:
        """Make a service account with these rights in its namespace; returns a kubeconfig with its token."""
        meta = {"name": name, "namespace": namespace}
        subject = {"kind": "ServiceAccount", **meta}
        role = {"kind": "Role", "apiGroup": "rbac.authorization.k8s.io", "name": name}
        version = "rbac.authorization.k8s.io/v1"
        self.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta},
            {"apiVersion": version, "kind": "Role", "metadata": meta, "rules": list(rules)},
            {"apiVersion": version, "kind": "RoleBinding", "metadata": meta, "subjects": [subject], "roleRef": role},
        )
        return self.kubeconfig_of(namespace, name)

    def token(self, namespace: str, name: str) -> str:
        return self.kubectl("create", "token", name, "-n", namespace).strip()

    def kubeconfig_of(self, namespace: str, name: str) -> Path:
        config = json.loads((self.folder / "kubeconfig.token").read_text())
        config["users"][0]["user"] = {"token": self.token(namespace, name)}
        config["contexts"][0]["context"]["namespace"] = namespace
        path = self.folder / f"kubeconfig.{namespace}.{name}"
        path.write_text(json.dumps(config))
        return path

    def service_account_folder(self, namespace: str, name: str, folder: Path) -> tuple[Path, str]:
        """Lay out what a pod finds of its service account; returns the folder and the API server's address."""
        cluster = json.loads(self.kubeconfig.read_text())["clusters"][0]["cluster"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ca.crt").write_bytes(base64.b64decode(cluster["certificate-authority-data"]))
        (folder / "token").write_text(self.token(namespace, name))
        (folder / "namespace").write_text(namespace)
        return folder, str(cluster["server"])


@pytest.fixture(scope="session")
def kube_bed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """Bring a bed up for the whole run; its API server is real, its nodes are fake."""
    folder = tmp_path_factory.mktemp("kube")
    binary = subprocess.run([HERE / "up", "--build-only"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    command: list[str | Path] = [HERE / "up", "--foreground", "--data", folder / "bed"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("export KUBECONFIG="), "the test bed did not come up"
            yield Bed(folder / "bed", Path(binary))
        finally:
            process.terminate()
            process.wait(60)


@dataclass(frozen=True)
class Room:
    """A namespace of the bed that belongs to one test."""

    bed: Bed
    namespace: str


@pytest.fixture
def kube(kube_bed: Bed) -> Iterator[Room]:
    """A namespace of its own on the bed; everything in it is deleted afterwards."""
    namespace = f"test-{uuid.uuid4().hex[:8]}"
    kube_bed.kubectl("create", "namespace", namespace)
    kube_bed.kubectl("wait", "--for=create", "serviceaccount/default", "-n", namespace, "--timeout=30s")
    yield Room(kube_bed, namespace)
    kube_bed.kubectl("delete", "namespace", namespace, "--wait=false")
