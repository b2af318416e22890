"""Bringing a function's objects into Kubernetes and taking them out, in an order that leaves nothing behind."""

import copy
from datetime import UTC, datetime

import anyio

from magnetar.errors import RefusedError
from magnetar.jitter import spread
from magnetar.logs import worker_logger
from magnetar.runtimes.kubernetes.api.client import (
    KINDS,
    RESTARTER,
    SERVICE,
    STATEFUL_SET,
    KubernetesClient,
    Manifest,
)
from magnetar.runtimes.kubernetes.api.errors import ForbiddenError, InvalidError, UnreachableError
from magnetar.runtimes.kubernetes.namespace import Namespace
from magnetar.runtimes.kubernetes.objects.manifests import Objects
from magnetar.runtimes.kubernetes.states import Job, immutable_part

EXTRAS_ANNOTATION = "magnetar/extras"
_RESTARTED = "magnetar/restarted-at"
_ASK_AGAIN = 2.0
_GONE_WITHIN = 120.0
"""Seconds that pods may take to end before a removal is begun anew."""


class Submitter:
    """Applies and removes the objects of one function at a time; `grace` is what pods get on removal, in seconds."""

    def __init__(self, client: KubernetesClient, grace: int) -> None:
        self._client = client
        self._grace = grace
        self._log = worker_logger()

    async def apply(self, room: Namespace, objects: Objects) -> str:
        """Create or change a function's objects: the Service first, then what it leads to, then what watches over that.

        Everything is owned by the StatefulSet, so that Kubernetes removes it even where no worker does. What a
        StatefulSet can't change is made by a new one. Returns what the function has to do without, and why, or nothing.
        Raises RefusedError for what the API server will never take.
        """
        try:
            return await self._apply(room, objects)
        except InvalidError as error:
            raise RefusedError(f"Kubernetes refuses {objects.namespace}/{objects.name}: {error}") from None

    async def _apply(self, room: Namespace, objects: Objects) -> str:
        existing = room.jobs.get(objects.name)
        if existing is not None and (existing.deleting or existing.immutable != immutable_part(objects.stateful_set)):
            await self.remove(room, objects.name)
            existing = None
        owner = existing.uid if existing else None
        await self._client.apply(_owned(objects.service, objects, owner))
        stateful_set = await self._client.apply(_noted(objects))
        if owner is None:
            owner = stateful_set["metadata"]["uid"]
            await self._client.apply(_owned(objects.service, objects, owner))
        try:
            for extra in objects.extras:
                await self._client.apply(_owned(extra, objects, owner))
            await self._drop_extras(objects, existing)
        except ForbiddenError as error:
            self._log.warning("A function has to do without what it asked for.", name=objects.name, reason=str(error))
            return str(error)
        return ""

    async def _drop_extras(self, objects: Objects, existing: Job | None) -> None:
        """Delete what an earlier version of the function asked for and this one does not."""
        before = existing.annotations.get(EXTRAS_ANNOTATION, "").split(",") if existing else []
        for kind in {*before} - {"", *(extra["kind"] for extra in objects.extras)}:
            if kind in KINDS:
                await self._client.delete(KINDS[kind], objects.namespace, objects.name)

    async def restart(self, namespace: str, name: str) -> None:
        """Have every pod replaced, one after the other."""
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        patch = {"spec": {"template": {"metadata": {"annotations": {_RESTARTED: now}}}}}
        await self._client.merge(STATEFUL_SET, namespace, name, patch, RESTARTER)

    async def remove(self, room: Namespace, name: str) -> None:
        """Remove a StatefulSet after its pods, then its Service; what it owns besides is removed by Kubernetes.

        Raises UnreachableError while the pods do not end.
        """
        there = await self._client.delete(STATEFUL_SET, room.name, name, foreground=True, grace=self._grace)
        if there:
            with anyio.move_on_after(_GONE_WITHIN) as waiting:
                await self._gone(room, name)
            if waiting.cancelled_caught:
                raise UnreachableError(f"the pods of {room.name}/{name} have not ended within {_GONE_WITHIN:.0f} s")
        await self._client.delete(SERVICE, room.name, name)
        if there:
            self._log.info("A StatefulSet and its Service were removed.", namespace=room.name, name=name)

    async def _gone(self, room: Namespace, name: str) -> None:
        """Wait until a StatefulSet is gone; what is followed may not have heard of it at all yet."""
        while await self._client.get(STATEFUL_SET, room.name, name) is not None:
            # The timer `following Kubernetes`.
            with anyio.move_on_after(spread(_ASK_AGAIN)):
                await room.until_gone(name) if name in room.jobs else await anyio.sleep_forever()


def _noted(objects: Objects) -> Manifest:
    """Return the StatefulSet with a note of what else was made for the function."""
    noted = copy.deepcopy(objects.stateful_set)
    kinds = ",".join(sorted(extra["kind"] for extra in objects.extras))
    if kinds:
        noted["metadata"]["annotations"][EXTRAS_ANNOTATION] = kinds
    return noted


def _owned(manifest: Manifest, objects: Objects, owner: str | None) -> Manifest:
    if owner is None:
        return manifest
    reference = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": objects.name, "uid": owner}
    owned = copy.deepcopy(manifest)
    owned["metadata"]["ownerReferences"] = [reference]
    return owned
