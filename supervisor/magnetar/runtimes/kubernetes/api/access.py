"""How the API server is reached: by the pod's service account, a kubeconfig (plugins included) or a plain address."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import anyio.to_thread
from lightkube.config.kubeconfig import KubeConfig
from lightkube.config.models import User, UserExec
from lightkube.core.exceptions import ConfigError

from magnetar.config.runtime_keys import KubernetesRuntimeConfig
from magnetar.errors import StartError
from magnetar.logs import worker_logger
from magnetar.runtimes.kubernetes.api.errors import UnreachableError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_KUBECONFIG = Path("~/.kube/config")
_PLUGIN_SECONDS = 60


@dataclass(frozen=True)
class Access:
    """Which of the ways is taken; `environ` is where KUBECONFIG and the API server's in-cluster address are looked up."""

    uri: str | None = None
    inside_pod: bool = False
    service_account: Path = SERVICE_ACCOUNT
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @classmethod
    def of(cls, keys: KubernetesRuntimeConfig) -> "Access":
        """Return the way that Pulsar's keys choose."""
        return cls(uri=keys.k8_uri, inside_pod=keys.submitting_inside_pod)

    def config(self) -> KubeConfig:
        """Return the configuration; without a kubeconfig a worker in a pod uses its service account.

        Raises StartError that says what was looked for.
        """
        if self.uri:
            return KubeConfig.from_server(self.uri)
        file = self.kubeconfig()
        if self.inside_pod or not file.is_file():
            return self._in_cluster(file)
        try:
            return KubeConfig.from_file(file)
        except (ConfigError, KeyError, ValueError, OSError) as error:
            raise StartError(f"the kubeconfig {file} can't be used: {error}") from None

    def kubeconfig(self) -> Path:
        """Return the kubeconfig's path, there or not: the first of KUBECONFIG, else the one in the home directory."""
        first = self.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
        return Path(first) if first else _KUBECONFIG.expanduser()

    def _in_cluster(self, kubeconfig: Path) -> KubeConfig:
        try:
            return KubeConfig.from_service_account(self.service_account)
        except (ConfigError, KeyError) as error:
            tried = "" if self.inside_pod else f"there is no kubeconfig {kubeconfig}, and "
            raise StartError(
                f"{tried}this process has no service account of a pod ({error}): set submittingInsidePod inside a pod, "
                "KUBECONFIG or k8Uri elsewhere"
            ) from None


class Credentials:
    """The user of a configuration; what a plugin answers is kept in private files and had anew when it is refused."""

    def __init__(self, config: KubeConfig) -> None:
        self._single = config.get()
        assert self._single is not None
        self._plugin = self._single.user.exec if self._single.user else None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = anyio.Lock()

    async def __aenter__(self) -> Self:
        if self._plugin is not None:
            with ExitStack() as stack:
                self._folder = tempfile.TemporaryDirectory(prefix="magnetar-kubernetes-")
                stack.callback(self._folder.cleanup)
                await self.renew()
                stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def renewable(self) -> bool:
        """Whether what was refused can be had anew from a plugin."""
        return self._plugin is not None

    @property
    def by_certificate(self) -> bool:
        """Whether the plugin answered with a client certificate: a connection keeps the one that it was opened with."""
        return self._folder is not None and self._kept(_CERTIFICATE) is not None

    def config(self) -> KubeConfig:
        """Return the configuration to connect with."""
        single = self._single
        assert single is not None
        user = single.user or User()
        if self._folder is not None:
            user = User(
                token_file=self._kept(_TOKEN), client_cert=self._kept(_CERTIFICATE), client_key=self._kept(_KEY)
            )
        return KubeConfig.from_one(cluster=single.cluster, user=user, namespace=single.namespace, fname=single.fname)

    def _file(self, name: str) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / name

    def _kept(self, name: str) -> str | None:
        file = self._file(name)
        return str(file) if file.exists() else None

    async def renew(self) -> None:
        """Run the plugin and keep what it answers. Raises UnreachableError with the plugin's words."""
        assert self._plugin is not None
        async with self._lock:
            answer = await anyio.to_thread.run_sync(_run_plugin, self._plugin)
            for key, name in _AS_FILES.items():
                file = self._file(name)
                file.unlink(missing_ok=True)
                if key in answer:
                    file.touch(0o600)
                    file.write_text(answer[key])


_TOKEN, _CERTIFICATE, _KEY = "token", "certificate", "key"
_AS_FILES = {"token": _TOKEN, "clientCertificateData": _CERTIFICATE, "clientKeyData": _KEY}


def _run_plugin(plugin: UserExec) -> dict[str, str]:
    """Run a client-go credential plugin of any version; returns its token, its client certificate and key, or both."""
    info = {"apiVersion": plugin.apiVersion, "kind": "ExecCredential", "spec": {"interactive": False}}
    environment = {**os.environ, "KUBERNETES_EXEC_INFO": json.dumps(info)}
    environment.update({each.name: each.value for each in plugin.env or ()})
    command = [plugin.command, *(plugin.args or ())]
    try:
        ran = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PLUGIN_SECONDS, check=True
        )
        status = json.loads(ran.stdout)["status"]
        answer = {key: str(status[key]) for key in _AS_FILES if status.get(key)}
    except subprocess.CalledProcessError as error:
        words = error.stderr.decode(errors="replace").strip().splitlines()
        raise UnreachableError(
            f"the credential plugin {plugin.command} ended with exit code {error.returncode}: {' '.join(words[-1:])}"
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        hint = f" ({plugin.installHint.strip()})" if plugin.installHint else ""
        raise UnreachableError(f"the credential plugin {plugin.command} can't be run: {error}{hint}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        answer = {}
    if "token" not in answer and not answer.keys() >= {"clientCertificateData", "clientKeyData"}:
        raise UnreachableError(
            f"the credential plugin {plugin.command} did not answer with a token, nor with a client certificate and its key"
        ) from None
    worker_logger().debug("Credentials were had from the plugin.", plugin=plugin.command)
    return answer
