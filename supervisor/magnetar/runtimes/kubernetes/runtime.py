"""The Kubernetes runtime: functions as StatefulSets, which outlive the worker that submitted them."""

import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import anyio
from magnetar_instance.proto.control import FunctionStatus, MetricsData
from magnetar_instance.proto.function import FunctionAuthenticationSpec

from magnetar.changes import Changes
from magnetar.errors import RefusedError
from magnetar.lifecycle import Phase
from magnetar.logs import worker_logger
from magnetar.runtimes.base import ExternalEvent, FunctionSpec, InstanceReport, LogLines
from magnetar.runtimes.kubernetes import config_map, instances
from magnetar.runtimes.kubernetes.admission import admit
from magnetar.runtimes.kubernetes.api.access import Access
from magnetar.runtimes.kubernetes.api.client import EVENT, POD, KubernetesClient
from magnetar.runtimes.kubernetes.api.errors import KubernetesError
from magnetar.runtimes.kubernetes.credentials import CredentialStore
from magnetar.runtimes.kubernetes.explanations import Explanations, event_time
from magnetar.runtimes.kubernetes.following import ConfigMapFollower
from magnetar.runtimes.kubernetes.instances import Resolver, by_name
from magnetar.runtimes.kubernetes.namespace import Namespace
from magnetar.runtimes.kubernetes.objects.manifests import (
    CONTAINER,
    FLEET_ANNOTATION,
    SUBMITTED_ANNOTATION,
    Extensions,
    build,
    place,
    submitted,
)
from magnetar.runtimes.kubernetes.objects.naming import labels, pod_address
from magnetar.runtimes.kubernetes.settings import KubernetesSettings
from magnetar.runtimes.kubernetes.states import Job, Pod
from magnetar.runtimes.kubernetes.submission import Submitter
from magnetar.tasks import ServingTasks

_HEARD_WITHIN = 5.0
"""Seconds within which the API server tells of what it was just given."""


class KubernetesRuntime:
    """Submits functions to one cluster and follows them; an async context manager. It is an ExternalRuntime."""

    name = "kubernetes"

    def __init__(
        self,
        settings: KubernetesSettings,
        extensions: Extensions | None = None,
        access: Access | None = None,
        resolver: Resolver = by_name,
    ) -> None:
        self._settings = settings
        self._file_keys = settings.keys
        self._extensions = extensions or Extensions()
        self._client = KubernetesClient(access or Access.of(settings.keys))
        self._resolver = resolver
        self._changes = Changes()
        self._rooms: dict[str, tuple[Namespace, Explanations]] = {}
        self._lacks: dict[str, str] = {}
        self._expiries: dict[str, float | None] = {}
        self._strays: set[tuple[str, str]] = set()
        self._submitter = Submitter(self._client, settings.keys.grace_period_seconds)
        trusted = settings.credentials.tls_trust_cert_path if settings.credentials else ""
        self._credentials = CredentialStore(self._client, self._extensions.auth, settings.fleet, trusted)
        self._tasks = ServingTasks()
        self._log = worker_logger()

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        await self._tasks.__aenter__()
        keys = self._file_keys
        if keys.change_config_map:
            namespace = keys.change_config_map_namespace or keys.job_namespace
            follower = ConfigMapFollower(self._client, namespace, keys.change_config_map, self._reconfigure)
            self._tasks.group.start_soon(follower.run, name="follow changeConfigMap")
            await follower.first.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._tasks.__aexit__(kind, error, trace)
        finally:
            with anyio.CancelScope(shield=True):
                await self._client.__aexit__(kind, error, trace)

    def _reconfigure(self, data: Mapping[str, str]) -> None:
        outcome = config_map.apply(self._file_keys, self._settings.keys, data)
        self._settings = replace(self._settings, keys=outcome.keys)
        self._changes.announce()
        for sentence in outcome.refused:
            self._log.warning("A key of changeConfigMap was refused.", reason=sentence)
        if outcome.changed:
            self._log.info(
                "changeConfigMap changed settings for what is submitted from now on.", changed=outcome.changed
            )

    @property
    def settings(self) -> KubernetesSettings:
        """The settings that count now."""
        return self._settings

    @property
    def generation(self) -> int:
        """A number that rises whenever a report may have changed."""
        return self._changes.generation

    async def changed(self, seen: int) -> int:
        """Wait until `generation` is above `seen`; returns it."""
        return await self._changes.after(seen)

    def admit(self, spec: FunctionSpec) -> None:
        """Raise RefusedError for a function that could not be run here."""
        admit(self._settings, spec, self._extensions)

    async def keep_credentials(self, spec: FunctionSpec, token: str | None) -> FunctionAuthenticationSpec | None:
        """Store what a creator authenticated with, where this worker's pods authenticate at all."""
        if self._settings.credentials is None:
            return None
        namespace, _ = place(self._settings, spec.details, self._extensions)
        return await self._credentials.keep(spec, namespace, token)

    async def submit(self, spec: FunctionSpec, *, restart: bool = False) -> None:
        """Make the function run as it is told here; what runs so already is left alone, unless `restart` is asked for.

        An update rolls through the pods; what a StatefulSet can't change is made anew. Raises RefusedError for what
        only another config can mend, KubernetesError for what may pass.
        """
        namespace, name = place(self._settings, spec.details, self._extensions)
        room = await self._room(namespace)
        self._expiries[spec.fqfn] = await self._credentials.expiry(namespace, spec.auth)
        existing = room.jobs.get(name)
        if existing is not None:
            self._refuse_strangers(spec, existing)
        if not restart and existing is not None and room.is_whole(name) and _runs(spec, existing):
            return
        objects = build(self._settings, spec, self._extensions, existing.annotations if existing else None)
        self._lacks[spec.fqfn] = await self._submitter.apply(room, objects)
        if restart and existing is not None:
            await self._submitter.restart(namespace, name)
        with anyio.move_on_after(_HEARD_WITHIN):
            while not room.is_whole(name):
                await room.job_changed(name)
        self._log.info("A function was submitted to Kubernetes.", function=spec.fqfn, namespace=namespace, name=name)
        for other, job in self._jobs_of(spec.fqfn):
            if (other.name, job.name) != (namespace, name):
                await self._submitter.remove(other, job.name)

    def _refuse_strangers(self, spec: FunctionSpec, existing: Job) -> None:
        """Raise RefusedError where a name belongs to another function: two names can be sanitised to one."""
        mine = labels(spec.details, {})
        theirs = {name: existing.labels.get(name) for name in mine}
        if existing.fqfn not in ("", spec.fqfn) or theirs != mine:
            owner = existing.fqfn or "/".join(str(theirs[part]) for part in ("tenant", "namespace", "name"))
            raise RefusedError(
                f"the StatefulSet {existing.name} belongs to the function {owner}, whose name is the same in Kubernetes: "
                "give one of the two a jobName in its customRuntimeOptions"
            )

    async def stop(self, spec: FunctionSpec) -> None:
        """Remove the StatefulSet and its Service, wherever they are; credentials are kept."""
        for room, name in await self._places(spec):
            await self._submitter.remove(room, name)

    async def remove(self, spec: FunctionSpec) -> None:
        """Remove all that was made for the function, credentials included."""
        places = await self._places(spec)
        for room, name in places:
            await self._submitter.remove(room, name)
        self._lacks.pop(spec.fqfn, None)
        self._expiries.pop(spec.fqfn, None)
        for namespace in {room.name for room, _ in places}:
            await self._credentials.forget(namespace, spec.fqfn, spec.auth)

    async def sweep(self, known: Collection[str]) -> None:
        """Remove what is left of functions that were not known at the last call either."""
        await self._room(self._settings.keys.job_namespace)
        everyone = frozenset(known)
        strays: set[tuple[str, str]] = set()
        for room, _ in list(self._rooms.values()):
            jobs = [each for each in room.jobs.values() if self._is_ours(each) and each.fqfn not in everyone]
            secrets = await self._credentials.strays(room.name, everyone)
            strays |= {(room.name, each.name) for each in jobs} | {(room.name, each) for each in secrets}
            for job in jobs:
                if (room.name, job.name) in self._strays:
                    self._log.warning("Nobody knows a function any more; its pods are removed.", function=job.fqfn)
                    await self._submitter.remove(room, job.name)
            await self._credentials.delete(room.name, [each for each in secrets if (room.name, each) in self._strays])
        self._strays = strays

    async def restart_instance(self, spec: FunctionSpec, instance_id: int) -> None:
        """Delete a pod; its StatefulSet makes a new one."""
        room, name = await self._home(spec)
        await self._client.delete(POD, room.name, f"{name}-{instance_id}")

    async def disturbed(self, spec: FunctionSpec) -> None:
        """Wait until the StatefulSet or its Service is not there any more."""
        room, name = await self._home(spec)
        while room.is_whole(name):
            await room.job_changed(name)

    def reports(self, spec: FunctionSpec) -> list[InstanceReport]:
        """Return what the pods say; a pod that is not there yet is pending, for the reason that Kubernetes gives."""
        try:
            namespace, name = place(self._settings, spec.details, self._extensions)
        except RefusedError as error:
            return [InstanceReport(each, Phase.FAILED, str(error)) for each in range(spec.details.parallelism)]
        room, explanations = self._rooms.get(namespace, (None, None))
        job = room.jobs.get(name) if room else None
        count = job.replicas if job else spec.details.parallelism
        problem = room.problem if room else ""
        why = (explanations.of(name) if explanations else "") or problem
        pods = room.pods if room else {}
        reports = [_report(pods.get(f"{name}-{ordinal}"), ordinal, why) for ordinal in range(count)]
        aside = problem or self._lacks.get(spec.fqfn, "") or _expired(self._expiries.get(spec.fqfn))
        return [replace(report, reason=report.reason or aside) for report in reports]

    async def status(self, spec: FunctionSpec, instance_id: int) -> FunctionStatus:
        """Ask the instance in a pod, or raise ConnectionError with what is known of the pod."""
        return await instances.status(await self._host(spec, instance_id), self._settings.keys.grpc_port)

    async def metrics(self, spec: FunctionSpec, instance_id: int) -> MetricsData:
        """Ask the instance in a pod for its figures, or raise ConnectionError."""
        return await instances.metrics(await self._host(spec, instance_id), self._settings.keys.grpc_port)

    async def events(self, spec: FunctionSpec) -> list[ExternalEvent]:
        """Return what Kubernetes has to say about the function's StatefulSet and pods, oldest first."""
        room, name = await self._home(spec)
        found = await self._client.find(EVENT, room.name)
        ours = [each for each in found.items if _is_about(each["involvedObject"].get("name", ""), name)]
        return [
            ExternalEvent(
                event_time(each),
                each["involvedObject"]["name"],
                each["involvedObject"].get("kind", ""),
                each.get("reason", ""),
                each.get("message", ""),
            )
            for each in sorted(ours, key=event_time)
        ]

    @asynccontextmanager
    async def log(self, spec: FunctionSpec, instance_id: int, tail: int, *, follow: bool) -> AsyncIterator[LogLines]:
        """Give the last lines of a pod's log and then, followed, each line as it comes."""
        room, name = await self._home(spec)
        try:
            lines = self._client.log(room.name, f"{name}-{instance_id}", CONTAINER, tail, follow=follow)
            async with aclosing(lines):
                yield lines
        except KubernetesError as error:
            raise ConnectionError(f"the log of {name}-{instance_id} can't be had: {error}") from None

    def manifests(self, spec: FunctionSpec) -> list[dict[str, object]]:
        """Return what would be applied for a function that is not there yet, or is to be made anew."""
        return list(build(self._settings, spec, self._extensions).all())

    async def _host(self, spec: FunctionSpec, instance_id: int) -> str:
        room, name = await self._home(spec)
        pod = room.pods.get(f"{name}-{instance_id}")
        if not room.problem and (pod is None or pod.phase not in (Phase.RUNNING, Phase.UNHEALTHY)):
            raise ConnectionError(_report(pod, instance_id, "").reason or f"the pod {name}-{instance_id} does not run")
        suffix = self._settings.keys.kubernetes_service_domain_suffix
        return self._resolver(pod_address(name, instance_id, room.name, suffix), pod.address if pod else "")

    async def _home(self, spec: FunctionSpec) -> tuple[Namespace, str]:
        namespace, name = place(self._settings, spec.details, self._extensions)
        return await self._room(namespace), name

    async def _places(self, spec: FunctionSpec) -> list[tuple[Namespace, str]]:
        """Return where a function is: where it would be put now, and wherever it was put before."""
        try:
            home = [await self._home(spec)]
        except RefusedError:
            home = []
        return home + [(room, job.name) for room, job in self._jobs_of(spec.fqfn) if (room, job.name) not in home]

    def _jobs_of(self, fqfn: str) -> list[tuple[Namespace, Job]]:
        return [(room, job) for room, job in self._jobs() if job.fqfn == fqfn and self._is_ours(job)]

    def _jobs(self) -> Iterator[tuple[Namespace, Job]]:
        for room, _ in self._rooms.values():
            for job in room.jobs.values():
                yield room, job

    def _is_ours(self, job: Job) -> bool:
        return bool(job.fqfn) and job.annotations.get(FLEET_ANNOTATION) == self._settings.fleet

    async def _room(self, namespace: str) -> Namespace:
        if namespace not in self._rooms:
            room = Namespace(self._client, namespace, self._changes)
            explanations = Explanations(self._client, room, self._changes)
            self._rooms[namespace] = room, explanations
            self._tasks.group.start_soon(room.run, name=f"follow the namespace {namespace}")
            self._tasks.group.start_soon(explanations.run, name=f"explain missing pods of {namespace}")
        room, _ = self._rooms[namespace]
        await room.listed()
        return room


def _runs(spec: FunctionSpec, job: Job) -> bool:
    return job.annotations.get(SUBMITTED_ANNOTATION) == submitted(spec)


def _report(pod: Pod | None, ordinal: int, why: str) -> InstanceReport:
    if pod is None:
        return InstanceReport(ordinal, Phase.PENDING, why or "Kubernetes has not made its pod yet")
    return pod.report()


def _expired(at: float | None) -> str:
    if at is None or at > time.time():
        return ""
    when = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
    return f"the token that the function was created with expired at {when}: update it with updateAuthData"


def _is_about(name: str, job: str) -> bool:
    return name == job or (name.startswith(f"{job}-") and name.removeprefix(f"{job}-").isdigit())
