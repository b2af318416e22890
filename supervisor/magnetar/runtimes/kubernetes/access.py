"""How the API server is reached: by the pod's service account, a kubeconfig (plugins included) or a plain address."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
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
from magnetar.runtimes.kubernetes.errors import UnreachableError

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
    """The user of a configuration; a plugin's token is kept in a private file and had anew when it is refused."""

    def __init__(self, config: KubeConfig) -> None:
        self._single = config.get()
        assert self._single is not None
        self._plugin = self._single.user.exec if self._single.user else None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock = anyio.Lock()

    async def __aenter__(self) -> Self:
        if self._plugin is not None:
            self._folder = tempfile.TemporaryDirectory(prefix="magnetar-kubernetes-")
            await self.renew()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def renewable(self) -> bool:
        """Whether a refused token can be had anew from a plugin."""
        return self._plugin is not None

    def config(self) -> KubeConfig:
        """Return the configuration to connect with."""
        single = self._single
        assert single is not None
        user = single.user or User()
        if self._folder is not None:
            user = User(token_file=str(self._token_file))
        return KubeConfig.from_one(cluster=single.cluster, user=user, namespace=single.namespace, fname=single.fname)

    @property
    def _token_file(self) -> Path:
        assert self._folder is not None
        return Path(self._folder.name) / "token"

    async def renew(self) -> None:
        """Run the plugin and keep its token. Raises UnreachableError with the plugin's words."""
        assert self._plugin is not None
        async with self._lock:
            token = await anyio.to_thread.run_sync(_run_plugin, self._plugin)
            self._token_file.touch(0o600)
            self._token_file.write_text(token)


def _run_plugin(plugin: UserExec) -> str:
    """Run a client-go credential plugin of any version and return its token."""
    info = {"apiVersion": plugin.apiVersion, "kind": "ExecCredential", "spec": {"interactive": False}}
    environment = {**os.environ, "KUBERNETES_EXEC_INFO": json.dumps(info)}
    environment.update({each.name: each.value for each in plugin.env or ()})
    command = [plugin.command, *(plugin.args or ())]
    try:
        ran = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PLUGIN_SECONDS, check=True
        )
        token = json.loads(ran.stdout)["status"]["token"]
    except subprocess.CalledProcessError as error:
        words = error.stderr.decode(errors="replace").strip().splitlines()
        raise UnreachableError(
            f"the credential plugin {plugin.command} ended with exit code {error.returncode}: {' '.join(words[-1:])}"
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        hint = f" ({plugin.installHint.strip()})" if plugin.installHint else ""
        raise UnreachableError(f"the credential plugin {plugin.command} can't be run: {error}{hint}") from None
    except (ValueError, KeyError, TypeError):
        raise UnreachableError(
            f"the credential plugin {plugin.command} did not answer with a token; client certificates are not taken"
        ) from None
    worker_logger().debug("A token was had from the credential plugin.", plugin=plugin.command)
    return str(token)
