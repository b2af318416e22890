"""A thin client of the API server: manifests are plain documents, so that nothing unknown to us is lost on the way."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio
import httpx2
from lightkube import AsyncClient
from lightkube.core.exceptions import ApiError, ConfigError
from lightkube.generic_resource import GenericGlobalResource, GenericNamespacedResource, create_api_info
from lightkube.types import CascadeType, PatchType

from magnetar.errors import StartError
from magnetar.runtimes.kubernetes.api.access import Access, Credentials
from magnetar.runtimes.kubernetes.api.errors import (
    ConflictError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    KubernetesError,
    UnreachableError,
)

T = TypeVar("T")
Manifest = dict[str, Any]
FIELD_MANAGER = "magnetar"
RESTARTER = "magnetar-restart"
"""Another manager's fields are left alone when a function is applied again: so a restart is not undone."""
_TIMEOUT = 10.0
WATCH_SECONDS = 300
"""After which the API server ends a watch's connection, so that a dead one is noticed."""
_AT_ONCE = 16
_PAGE = 500
_BUSY = 429
_NOT_IN_SCHEMA = "failed to create typed patch object"
"""What an apply with a field that is not there is answered with, under status 500."""
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _GONE = 401, 403, 404, 409, 410

Kind = type[GenericNamespacedResource]
Selector = Mapping[str, str | None]
"""Labels by name; None asks for any value."""


def _kind(group: str, version: str, kind: str, plural: str) -> Kind:
    """Return a dict-backed class of our own: the library's registry is shared with whoever else uses it."""

    class Documents(GenericNamespacedResource):
        _api_info = create_api_info(group, version, kind, plural)

    Documents.__name__ = Documents.__qualname__ = kind
    return Documents


STATEFUL_SET = _kind("apps", "v1", "StatefulSet", "statefulsets")
SERVICE = _kind("", "v1", "Service", "services")
SECRET = _kind("", "v1", "Secret", "secrets")
CONFIG_MAP = _kind("", "v1", "ConfigMap", "configmaps")
POD = _kind("", "v1", "Pod", "pods")
EVENT = _kind("", "v1", "Event", "events")
DISRUPTION_BUDGET = _kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
AUTOSCALER = _kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")


class _SelfReview(GenericGlobalResource):
    _api_info = create_api_info("authentication.k8s.io", "v1", "SelfSubjectReview", "selfsubjectreviews")


KINDS: Mapping[str, Kind] = {
    "StatefulSet": STATEFUL_SET,
    "Service": SERVICE,
    "Secret": SECRET,
    "PodDisruptionBudget": DISRUPTION_BUDGET,
    "HorizontalPodAutoscaler": AUTOSCALER,
}


@dataclass(frozen=True)
class Patience:
    """How often and how long a request that may yet succeed is tried; seconds, the pause doubles."""

    attempts: int = 5
    pause: float = 0.5
    longest_pause: float = 8.0

    def after(self, attempt: int, demanded: float) -> float:
        """Return the pause after an attempt; what the API server demands counts, within a minute."""
        pause: float = min(self.longest_pause, self.pause * 2.0**attempt)
        return min(60.0, max(demanded, pause))


@dataclass(frozen=True)
class Listing:
    """Objects as they were at one version of the store."""

    items: list[Manifest]
    version: str


class KubernetesClient:
    """The API server as the worker sees it; an async context manager. Every method raises KubernetesError.

    Entering it asks nothing of the API server; it raises StartError where there is no way to reach one.
    """

    def __init__(self, access: Access, patience: Patience | None = None) -> None:
        self._access = access
        self._patience = patience or Patience()
        self._slots = anyio.CapacityLimiter(_AT_ONCE)
        self._stack = AsyncExitStack()
        self._client: AsyncClient
        self._credentials: Credentials

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            try:
                self._credentials = await stack.enter_async_context(Credentials(self._access.config()))
            except UnreachableError as error:
                raise StartError(str(error)) from None
            try:
                self._client = await stack.enter_async_context(self._connection())
            except (ConfigError, OSError, ValueError) as error:
                raise StartError(f"the Kubernetes configuration can't be used: {error}") from None
            self._stack = stack.pop_all()
        return self

    def _connection(self) -> AsyncClient:
        timeout = httpx2.Timeout(_TIMEOUT)
        return AsyncClient(self._credentials.config(), timeout=timeout, field_manager=FIELD_MANAGER, trust_env=False)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        """Return an object, None when there is none."""
        return await self._unless_missing(lambda: self._client.get(kind, name, namespace=namespace))

    async def find(
        self, kind: Kind, namespace: str, labels: Selector | None = None, fields: Mapping[str, str] | None = None
    ) -> Listing:
        """Return the objects that selectors choose."""

        async def pages() -> Listing:
            found = self._client.list(
                kind, namespace=namespace, chunk_size=_PAGE, labels=_selector(labels), fields=_selector(fields)
            )
            return Listing([item async for item in found], found.resourceVersion)

        return await self._patiently(pages)

    async def watch(
        self,
        kind: Kind,
        namespace: str,
        version: str,
        labels: Selector | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[tuple[str, Manifest], None]:
        """Yield changes after a version, for ever; connections that the API server ends are opened again.

        Raises ExpiredError when the version is too old.
        """
        watch = self._client.watch(
            kind,
            namespace=namespace,
            labels=_selector(labels),
            fields=_selector(fields),
            resource_version=version,
            server_timeout=WATCH_SECONDS,
        )
        try:
            async for change, item in watch:
                yield change, item
        except httpx2.HTTPError as error:
            if status_of(error) == _FORBIDDEN:
                raise await self._forbidden("watch", kind, namespace) from None
            raise translated(error) from None

    async def _forbidden(self, verb: str, kind: Kind, namespace: str) -> ForbiddenError:
        """Return the error of a watch, whose answer carries no sentence of the API server."""
        resource = kind._api_info  # noqa: SLF001 - the library has no other name for it
        group = resource.resource.group
        try:
            review = await self._client.create(_SelfReview.from_dict({"metadata": {}}))
            user = str(review["status"]["userInfo"]["username"])
        except (httpx2.HTTPError, KeyError):
            user = "of this worker"
        return ForbiddenError.from_answer(
            f'User "{user}" cannot {verb} resource "{resource.plural}" in API group "{group}" in the namespace "{namespace}"'
        )

    async def apply(self, manifest: Manifest) -> Manifest:
        """Create an object or make our fields of it as they are here; returns it as it is stored."""
        item = KINDS[manifest["kind"]].from_dict(manifest)
        return await self._patiently(lambda: self._client.apply(item, force=True))

    async def create(self, manifest: Manifest) -> Manifest:
        """Create an object. Raises ConflictError when one of the name is there."""
        item: GenericNamespacedResource = KINDS[manifest["kind"]].from_dict(manifest)

        async def once() -> Manifest:
            made: Manifest = await self._client.create(item)
            return made

        return await self._patiently(once)

    async def merge(self, kind: Kind, namespace: str, name: str, patch: Manifest, manager: str) -> None:
        """Change some fields of an object in another manager's name."""
        await self._patiently(
            lambda: self._client.patch(
                kind, name, patch, namespace=namespace, patch_type=PatchType.MERGE, field_manager=manager
            )
        )

    async def delete(
        self, kind: Kind, namespace: str, name: str, *, foreground: bool = False, grace: int | None = None
    ) -> bool:
        """Delete an object, in the foreground after what it owns; returns whether there was one."""
        cascade = CascadeType.FOREGROUND if foreground else None

        async def once() -> Manifest:
            await self._client.delete(kind, name, namespace=namespace, grace_period=grace, cascade=cascade)
            return {}

        return await self._unless_missing(once) is not None

    async def log(
        self, namespace: str, pod: str, container: str, tail: int, *, follow: bool
    ) -> AsyncGenerator[str, None]:
        """Yield the last lines that a container wrote and then, followed, each line as it comes."""
        found = self._client.log(
            pod, namespace=namespace, container=container, tail_lines=tail, follow=follow, newlines=False
        )
        try:
            async for line in found:
                yield line
        except httpx2.HTTPError as error:
            raise translated(error) from None

    async def _unless_missing(self, request: Callable[[], Awaitable[T]]) -> T | None:
        try:
            return await self._patiently(request)
        except _MissingError:
            return None

    async def _patiently(self, request: Callable[[], Awaitable[T]]) -> T:
        attempt, renewed = 0, False
        while True:
            async with self._slots:
                try:
                    return await request()
                except httpx2.HTTPError as error:
                    problem = error
            if status_of(problem) == _UNAUTHORIZED and self._credentials.renewable and not renewed:
                await self._renew()
                renewed = True
                continue
            failure = translated(problem)
            attempt += 1
            if not isinstance(failure, UnreachableError) or attempt >= self._patience.attempts:
                raise failure from None
            # The timer `retries`.
            await anyio.sleep(self._patience.after(attempt - 1, retry_after(problem)))

    async def _renew(self) -> None:
        """Have credentials anew; what is under way on the old connections goes on there."""
        await self._credentials.renew()
        if self._credentials.by_certificate:
            self._client = await self._stack.enter_async_context(self._connection())


class _MissingError(KubernetesError):
    status = 404


def status_of(error: Exception) -> int | None:
    """Return the HTTP status of an error, None where there was no answer."""
    if isinstance(error, ApiError) and error.status.code:
        return int(error.status.code)
    return int(error.response.status_code) if isinstance(error, httpx2.HTTPStatusError) else None


def retry_after(error: Exception) -> float:
    """Return how many seconds the API server asks us to wait."""
    response = error.response if isinstance(error, httpx2.HTTPStatusError) else None
    value = response.headers.get("Retry-After", "0") if response is not None else "0"
    return float(value) if value.isdigit() else 0.0


def translated(error: Exception) -> KubernetesError:
    """Return what an error of the HTTP client means to us."""
    status, message = status_of(error), " ".join(str(error).split())
    if status is None:
        return UnreachableError(f"the API server does not answer: {message or type(error).__name__}")
    if status == _FORBIDDEN and _LACKS_RIGHT in message:
        return ForbiddenError.from_answer(message)
    if status in _MEANINGS:
        kind, words = _MEANINGS[status]
        return kind(words + message)
    if status < 500 or _NOT_IN_SCHEMA in message:
        return InvalidError(message)
    return UnreachableError(f"the API server fails ({status}): {message}")


_LACKS_RIGHT = " cannot "
"""A quota or an admission policy answers with the same status as a missing right, but in other words."""
_MEANINGS: Mapping[int, tuple[type[KubernetesError], str]] = {
    _UNAUTHORIZED: (UnreachableError, "the API server does not accept our credentials: "),
    _NOT_FOUND: (_MissingError, ""),
    _CONFLICT: (ConflictError, ""),
    _GONE: (ExpiredError, ""),
    _BUSY: (UnreachableError, "the API server is busy: "),
}


def _selector(selector: Selector | Mapping[str, str] | None) -> Any:
    return dict(selector) if selector else None
