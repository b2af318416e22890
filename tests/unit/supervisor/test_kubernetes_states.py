from typing import Any

import pytest
from magnetar.lifecycle import Phase
from magnetar.runtimes.kubernetes.states import Job, Pod


def pod(status: dict[str, Any], **metadata: Any) -> Pod:
    return Pod.of({"metadata": {"name": "job-with-dashes-3", **metadata}, "status": status})


def container(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "sidecar"}, {"name": "pulsarfunction", "state": state, **more}]}


RUNNING = {"running": {"startedAt": "2026-01-02T03:04:05Z"}}
NOT_READY = [{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "probe failed"}]
UNSCHEDULABLE = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes: no cpu"}]
KILLED = {"terminated": {"exitCode": 137, "signal": 9, "reason": "OOMKilled"}}


@pytest.mark.parametrize(
    ("status", "phase", "reason"),
    [
        ({"phase": "Pending"}, Phase.PENDING, ""),
        ({"phase": "Pending", "conditions": UNSCHEDULABLE}, Phase.PENDING, "Unschedulable: 0/3 nodes: no cpu"),
        (
            {"phase": "Pending", **container({"waiting": {"reason": "ContainerCreating"}})},
            Phase.STARTING,
            "ContainerCreating",
        ),
        (
            {"phase": "Pending", **container({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})},
            Phase.BACKING_OFF,
            "ImagePullBackOff: no such image",
        ),
        ({"phase": "Running", **container(RUNNING)}, Phase.RUNNING, ""),
        (
            {"phase": "Running", "conditions": NOT_READY, **container(RUNNING, started=False)},
            Phase.STARTING,
            "the pod is not ready: probe failed",
        ),
        (
            {"phase": "Running", "conditions": NOT_READY, **container(RUNNING, started=True)},
            Phase.UNHEALTHY,
            "the pod is not ready: probe failed",
        ),
        (
            {"phase": "Running", **container({"waiting": {"reason": "CrashLoopBackOff"}}, lastState=KILLED)},
            Phase.CRASH_LOOPING,
            "ended by signal 9 (OOMKilled)\nCrashLoopBackOff",
        ),
        (
            {
                "phase": "Running",
                **container({"terminated": {"exitCode": 78, "reason": "Error", "message": "no module"}}),
            },
            Phase.BACKING_OFF,
            "ended with exit code 78\nno module",
        ),
        ({"phase": "Failed", "reason": "Evicted", "message": "disk"}, Phase.BACKING_OFF, "Evicted: disk"),
    ],
)
def test_what_a_pod_says_of_itself_becomes_a_phase_and_a_reason(
    status: dict[str, Any], phase: Phase, reason: str
) -> None:
    """The phase is the worker's word, the reason Kubernetes' own; the function's container counts, not a sidecar."""
    found = pod(status)
    assert (found.phase, found.reason) == (phase, reason)


def test_a_pod_that_is_being_deleted_is_stopping_whatever_it_says() -> None:
    """Its container may still run."""
    found = pod({"phase": "Running", **container(RUNNING)}, deletionTimestamp="2026-01-02T03:04:05Z")
    assert found.phase is Phase.STOPPING


def test_a_pod_is_the_instance_of_its_ordinal() -> None:
    """The ordinal stands at the end of its name, and in a label of newer clusters."""
    found = pod({"phase": "Running", **container(RUNNING, restartCount=4)})
    report = found.report()
    assert (found.job, report.instance_id, report.restarts) == ("job-with-dashes", 3, 4)
    assert report.started_at == 1767323045
    assert pod({}, labels={"apps.kubernetes.io/pod-index": "7"}).ordinal == 7


def test_a_stateful_set_is_told_from_one_that_needs_to_be_made_anew() -> None:
    """What nobody may change in it is kept apart: name of the Service, pod management and selector."""
    spec = {
        "serviceName": "s",
        "podManagementPolicy": "Parallel",
        "selector": {"matchLabels": {"a": "b"}},
        "replicas": 3,
    }
    job = Job.of({"metadata": {"name": "j", "uid": "u", "annotations": {"magnetar/function": "t/n/f"}}, "spec": spec})
    assert (job.fqfn, job.replicas, job.deleting) == ("t/n/f", 3, False)
    assert job.immutable == {key: spec[key] for key in ("serviceName", "podManagementPolicy", "selector")}
