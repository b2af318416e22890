"""What StatefulSets and pods say of themselves, in the worker's own words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from magnetar.lifecycle import Phase
from magnetar.runtimes.base import InstanceReport
from magnetar.runtimes.kubernetes.objects.manifests import CONTAINER
from magnetar.runtimes.kubernetes.objects.naming import NAME_ANNOTATION

Manifest = dict[str, Any]
_ORDINAL = "apps.kubernetes.io/pod-index"
_REVISION = "controller-revision-hash"
_STARTING_UP = ("ContainerCreating", "PodInitializing", "")


@dataclass(frozen=True)
class Job:
    """A StatefulSet, as far as it matters here."""

    name: str
    uid: str
    fqfn: str
    replicas: int
    deleting: bool
    annotations: Mapping[str, str]
    labels: Mapping[str, str]
    immutable: Mapping[str, Any]

    @classmethod
    def of(cls, manifest: Manifest) -> "Job":
        """Summarise a StatefulSet."""
        metadata, spec = manifest["metadata"], manifest["spec"]
        annotations = metadata.get("annotations", {})
        return cls(
            name=metadata["name"],
            uid=metadata["uid"],
            fqfn=annotations.get(NAME_ANNOTATION, ""),
            replicas=spec.get("replicas", 1),
            deleting="deletionTimestamp" in metadata,
            annotations=annotations,
            labels=metadata.get("labels", {}),
            immutable=immutable_part(manifest),
        )


def immutable_part(stateful_set: Manifest) -> dict[str, Any]:
    """Return what the API server lets nobody change in a StatefulSet: a change of it needs a new one."""
    spec = stateful_set["spec"]
    return {name: spec.get(name) for name in ("serviceName", "podManagementPolicy", "selector")}


@dataclass(frozen=True)
class Pod:
    """One pod, as far as it matters here; times are seconds since the epoch."""

    name: str
    job: str
    ordinal: int
    phase: Phase
    reason: str = ""
    restarts: int = 0
    started_at: float | None = None
    address: str = ""
    node: str = ""
    revision: str = field(default="", compare=False)

    @classmethod
    def of(cls, manifest: Manifest) -> "Pod":
        """Summarise a pod."""
        metadata, status = manifest["metadata"], manifest.get("status", {})
        name = metadata["name"]
        job, _, ordinal = name.rpartition("-")
        container = _container(status)
        phase, reason = _judge(metadata, status, container)
        running = container.get("state", {}).get("running", {})
        return cls(
            name=name,
            job=job,
            ordinal=int(metadata.get("labels", {}).get(_ORDINAL, ordinal if ordinal.isdigit() else -1)),
            phase=phase,
            reason=reason,
            restarts=container.get("restartCount", 0),
            started_at=_seconds(running.get("startedAt") or status.get("startTime")),
            address=status.get("podIP", ""),
            node=manifest.get("spec", {}).get("nodeName", ""),
            revision=metadata.get("labels", {}).get(_REVISION, ""),
        )

    def report(self) -> InstanceReport:
        """Return what the worker tells of the instance."""
        return InstanceReport(self.ordinal, self.phase, self.reason, self.restarts, self.started_at)


def _container(status: Manifest) -> Manifest:
    containers: list[Manifest] = status.get("containerStatuses", [])
    return next((each for each in containers if each["name"] == CONTAINER), containers[0] if containers else {})


def _judge(metadata: Manifest, status: Manifest, container: Manifest) -> tuple[Phase, str]:
    state = container.get("state", {})
    if "deletionTimestamp" in metadata:
        return Phase.STOPPING, "the pod is being deleted"
    if "waiting" in state:
        return _waiting(state["waiting"], container)
    if "terminated" in state:
        return Phase.BACKING_OFF, ended(state["terminated"])
    if status.get("phase") == "Failed":
        return Phase.BACKING_OFF, _said(status) or "the pod failed"
    if status.get("phase") == "Running":
        return _running(status, container)
    return Phase.STARTING if status.get("startTime") else Phase.PENDING, _unscheduled(status)


def _waiting(waiting: Manifest, container: Manifest) -> tuple[Phase, str]:
    reason = waiting.get("reason", "")
    said = ": ".join(filter(None, (reason, waiting.get("message", ""))))
    if reason in _STARTING_UP:
        return Phase.STARTING, said
    last = container.get("lastState", {}).get("terminated")
    if reason == "CrashLoopBackOff":
        return Phase.CRASH_LOOPING, "\n".join(filter(None, (ended(last) if last else "", said)))
    return Phase.BACKING_OFF, said


def _running(status: Manifest, container: Manifest) -> tuple[Phase, str]:
    conditions = {each["type"]: each for each in status.get("conditions", [])}
    ready = conditions.get("Ready", {})
    if ready.get("status", "True") == "True":
        return Phase.RUNNING, ""
    said = ready.get("message") or ready.get("reason") or "its readiness probe fails"
    return (Phase.UNHEALTHY if container.get("started") else Phase.STARTING), f"the pod is not ready: {said}"


def _unscheduled(status: Manifest) -> str:
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason', 'not scheduled')}: {condition.get('message', '')}".strip(": ")
    return ""


def _said(status: Manifest) -> str:
    return ": ".join(filter(None, (status.get("reason", ""), status.get("message", ""))))


def ended(terminated: Manifest) -> str:
    """Return how a container ended, in one sentence; Kubernetes' own reason stands behind it."""
    if signal := terminated.get("signal"):
        how = f"ended by signal {signal}"
    else:
        how = f"ended with exit code {terminated.get('exitCode')}"
    reason, message = terminated.get("reason", ""), terminated.get("message", "").strip()
    why = f" ({reason})" if reason not in ("", "Error", "Completed") else ""
    return f"{how}{why}" + (f"\n{message}" if message else "")


def _seconds(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None
