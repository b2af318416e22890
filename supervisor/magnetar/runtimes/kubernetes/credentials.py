"""The Secrets that hold function creators' credentials: made at create, renewed at update, gone with the function."""

import base64
import secrets
import string
from collections.abc import Callable, Iterable
from pathlib import Path

import anyio
from magnetar_instance.proto.function import FunctionAuthenticationSpec

from magnetar.errors import NotReadyError
from magnetar.logs import worker_logger
from magnetar.runtimes.base import FunctionSpec
from magnetar.runtimes.kubernetes.api.client import SECRET, KubernetesClient, Manifest
from magnetar.runtimes.kubernetes.api.errors import ConflictError, ForbiddenError, KubernetesError
from magnetar.runtimes.kubernetes.auth import (
    SECRET_PREFIX,
    KubernetesFunctionAuthProvider,
    auth_spec,
    expiry_of,
    secret_name,
)
from magnetar.runtimes.kubernetes.namespace import FUNCTIONS
from magnetar.runtimes.kubernetes.objects.manifests import FLEET_ANNOTATION
from magnetar.runtimes.kubernetes.objects.naming import NAME_ANNOTATION

_LETTERS = string.ascii_lowercase + string.digits
_TRIES = 5


class CredentialStore:
    """Keeps credentials of one fleet's functions; `certificates` is the file that the broker is trusted by."""

    def __init__(
        self, client: KubernetesClient, provider: KubernetesFunctionAuthProvider, fleet: str, certificates: str
    ) -> None:
        self._client = client
        self._provider = provider
        self._fleet = fleet
        self._certificates = Path(certificates) if certificates else None
        self._log = worker_logger()

    async def keep(self, spec: FunctionSpec, namespace: str, token: str | None) -> FunctionAuthenticationSpec | None:
        """Store a creator's token, or put it in the place of the one before; returns what the metadata are to hold.

        Without a token an earlier Secret is removed.
        """
        secret = self._provider.secret(spec, token, await self._trusted())
        known = secret_name(spec.auth)
        if secret is None:
            if known is not None:
                await self._client.delete(SECRET, namespace, known)
            return None
        secret["metadata"]["namespace"] = namespace
        secret["metadata"]["annotations"][FLEET_ANNOTATION] = self._fleet
        if known is not None:
            secret["metadata"]["name"] = known
            await self._client.apply(secret)
            return spec.auth
        return auth_spec(await self._create(secret))

    async def _create(self, secret: Manifest) -> str:
        for _ in range(_TRIES):
            name = SECRET_PREFIX + "".join(secrets.choice(_LETTERS) for _ in range(5))
            secret["metadata"]["name"] = name
            try:
                await self._client.create(secret)
            except ConflictError:
                continue
            return name
        raise NotReadyError("no free name for the function's Secret was found: try again")

    async def _trusted(self) -> bytes | None:
        if self._certificates is None:
            return None
        try:
            return await anyio.Path(self._certificates).read_bytes()
        except OSError as error:
            self._log.warning("tlsTrustCertsFilePath can't be read; pods get no certificates.", reason=str(error))
            return None

    async def expiry(self, namespace: str, auth: FunctionAuthenticationSpec | None) -> float | None:
        """Return when the token that is kept stops counting, in seconds since the epoch; None where that is not known."""
        name = secret_name(auth)
        if name is None:
            return None
        try:
            secret = await self._client.get(SECRET, namespace, name)
        except KubernetesError as error:
            self._log.debug("A function's Secret can't be read.", secret=name, reason=str(error))
            return None
        token = (secret or {}).get("data", {}).get("token", "")
        return expiry_of(base64.b64decode(token).decode(errors="replace"))

    async def forget(self, namespace: str, fqfn: str, auth: FunctionAuthenticationSpec | None) -> None:
        """Delete what is kept for a function; older Secrets of it are found by their annotations."""
        if (known := secret_name(auth)) is not None:
            await self._client.delete(SECRET, namespace, known)
        for name in await self._kept(namespace, lambda owner: owner == fqfn):
            await self._client.delete(SECRET, namespace, name)

    async def strays(self, namespace: str, known: frozenset[str]) -> list[str]:
        """Return the Secrets of functions of this fleet that are not known."""
        return await self._kept(namespace, lambda owner: owner not in known)

    async def delete(self, namespace: str, names: Iterable[str]) -> None:
        """Delete Secrets that nobody needs any more."""
        for name in names:
            await self._client.delete(SECRET, namespace, name)
            self._log.info("The Secret of a deleted function was removed.", namespace=namespace, secret=name)

    async def _kept(self, namespace: str, wanted: Callable[[str], bool]) -> list[str]:
        try:
            found = await self._client.find(SECRET, namespace, FUNCTIONS)
        except ForbiddenError as error:
            self._log.debug("Secrets can't be looked for.", reason=str(error))
            return []
        return [item["metadata"]["name"] for item in found.items if self._is_ours(item) and wanted(_owner(item))]

    def _is_ours(self, secret: Manifest) -> bool:
        annotations = secret["metadata"].get("annotations", {})
        ours: bool = annotations.get(FLEET_ANNOTATION) == self._fleet
        return ours and NAME_ANNOTATION in annotations


def _owner(secret: Manifest) -> str:
    return str(secret["metadata"]["annotations"][NAME_ANNOTATION])
