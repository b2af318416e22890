"""Why pods are missing: what the StatefulSet's events say, asked only while pods are missing."""

import anyio

from magnetar.changes import Changes
from magnetar.jitter import spread
from magnetar.logs import worker_logger
from magnetar.runtimes.kubernetes.api.client import EVENT, KubernetesClient, Manifest
from magnetar.runtimes.kubernetes.api.errors import ForbiddenError, KubernetesError
from magnetar.runtimes.kubernetes.namespace import Namespace

_PATIENCE = 2.0
"""Seconds that pods may be missing before anyone wonders."""
_GATHER = 1.0
_AGAIN = 15.0


class Explanations:
    """Keeps the last warning of each job that lacks pods; `run` must run somewhere."""

    def __init__(self, client: KubernetesClient, room: Namespace, changes: Changes) -> None:
        self._client = client
        self._room = room
        self._changes = changes
        self._reasons: dict[str, str] = {}

    def of(self, job: str) -> str:
        """Return why pods of a job are missing; empty when nothing is known."""
        return self._reasons.get(job, "")

    async def run(self) -> None:
        """Ask while something is missing; without the right to read events nothing is explained, and one line says so."""
        while True:
            lacking = self._lacking()
            self._reasons = {job: reason for job, reason in self._reasons.items() if job in lacking}
            if not lacking:
                await self._changes.after(self._changes.generation)
                # The timer `missing pods`.
                await anyio.sleep(spread(_GATHER))
                continue
            # The timer `missing pods`.
            await anyio.sleep(spread(_PATIENCE))
            try:
                await self._ask(self._lacking() & lacking)
            except ForbiddenError as error:
                worker_logger().warning("Missing pods can't be explained.", reason=str(error))
                return
            except KubernetesError as error:
                worker_logger().debug("Events could not be had.", reason=str(error))
            # The timer `missing pods`.
            await anyio.sleep(spread(_AGAIN - _PATIENCE) if self._lacking() else 0)

    def _lacking(self) -> set[str]:
        room = self._room
        return {
            job.name
            for job in room.jobs.values()
            if not job.deleting and any(f"{job.name}-{ordinal}" not in room.pods for ordinal in range(job.replicas))
        }

    async def _ask(self, jobs: set[str]) -> None:
        for job in jobs:
            found = await self._client.find(
                EVENT, self._room.name, fields={"involvedObject.name": job, "type": "Warning"}
            )
            if found.items:
                last = max(found.items, key=event_time)
                self._reasons[job] = f"{last.get('reason', '')}: {last.get('message', '')}".strip(": ")
                self._changes.announce()


def event_time(event: Manifest) -> str:
    """Return when an event was last seen, as text that sorts by time."""
    metadata = event["metadata"]
    series = event.get("series") or {}
    seen = series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime")
    return str(seen or metadata["creationTimestamp"])
