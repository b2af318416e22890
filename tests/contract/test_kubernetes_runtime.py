from dataclasses import replace

import anyio
import pytest
from kube.bed import Room, requires_kube
from kube.functions import function, reach, runtime, settings
from magnetar.errors import RefusedError
from magnetar.lifecycle import Phase
from magnetar.model.kubernetes_options import KubernetesOptions

pytestmark = [requires_kube(), pytest.mark.timeout(180)]
JOB = "pf-public-default-shout"


async def test_a_function_becomes_pods_and_leaves_nothing_when_it_is_removed(kube: Room) -> None:
    """Service and StatefulSet come, the pods run; after the removal the namespace is as empty as before."""
    async with runtime(kube) as kubernetes:
        with anyio.fail_after(60):
            await kubernetes.submit(function())
            await reach(kubernetes, function(), Phase.RUNNING)
        stateful_set = kube.bed.get("statefulset", JOB, "-n", kube.namespace)
        service = kube.bed.get("service", JOB, "-n", kube.namespace, "--show-managed-fields")
        assert service["metadata"]["ownerReferences"][0]["uid"] == stateful_set["metadata"]["uid"]
        managers = {each["manager"] for each in service["metadata"]["managedFields"]}
        assert managers == {"magnetar"}
        with anyio.fail_after(60):
            await kubernetes.remove(function())
    for kind in ("statefulset", "service", "pod", "secret", "poddisruptionbudget"):
        assert kube.bed.names(kind, kube.namespace) == []


async def test_a_scale_changes_the_replicas_and_no_pod(kube: Room) -> None:
    """The pods that are there stay the same pods, in the same revision."""
    async with runtime(kube) as kubernetes:
        with anyio.fail_after(60):
            await kubernetes.submit(function())
            await reach(kubernetes, function(), Phase.RUNNING)
            before = kube.bed.get("pods", "-n", kube.namespace)["items"]
            await kubernetes.submit(function(parallelism=4))
            await reach(kubernetes, function(parallelism=4), Phase.RUNNING)
        after = {pod["metadata"]["uid"]: pod for pod in kube.bed.get("pods", "-n", kube.namespace)["items"]}
        assert all(pod["metadata"]["uid"] in after for pod in before)
        assert len({pod["metadata"]["labels"]["controller-revision-hash"] for pod in after.values()}) == 1


async def test_an_update_rolls_through_the_pods(kube: Room) -> None:
    """The StatefulSet stays and its pods are replaced by those of the new revision."""
    async with runtime(kube) as kubernetes:
        with anyio.fail_after(60):
            await kubernetes.submit(function())
            await reach(kubernetes, function(), Phase.RUNNING)
        before = kube.bed.get("statefulset", JOB, "-n", kube.namespace)["metadata"]["uid"]
        changed = function(userConfig='{"loud":true}')
        with anyio.fail_after(60):
            await kubernetes.submit(changed)
            kube.bed.kubectl("rollout", "status", f"statefulset/{JOB}", "-n", kube.namespace, "--timeout=50s")
        assert kube.bed.get("statefulset", JOB, "-n", kube.namespace)["metadata"]["uid"] == before
        pods = kube.bed.get("pods", "-n", kube.namespace)["items"]
        assert all("loud" in pod["spec"]["containers"][0]["command"][2] for pod in pods)


async def test_what_a_stateful_set_cannot_change_is_made_anew(kube: Room) -> None:
    """Labels that select the pods are fixed for the life of a StatefulSet: it is replaced, and the pods run again."""
    async with runtime(kube) as kubernetes, runtime(kube, settings(kube, customLabels={"app": "x"})) as relabelled:
        with anyio.fail_after(60):
            await kubernetes.submit(function())
            before = kube.bed.get("statefulset", JOB, "-n", kube.namespace)["metadata"]["uid"]
            await relabelled.submit(function(userConfig="{}"))
            await reach(relabelled, function(), Phase.RUNNING)
        assert kube.bed.get("statefulset", JOB, "-n", kube.namespace)["metadata"]["uid"] != before


async def test_a_restarted_worker_finds_its_pods_and_touches_nothing(kube: Room) -> None:
    """Leaving the runtime leaves the pods; submitting again writes nothing, even where the worker's image changed."""
    async with runtime(kube) as kubernetes:
        with anyio.fail_after(60):
            await kubernetes.submit(function())
            await reach(kubernetes, function(), Phase.RUNNING)
    before = kube.bed.get("statefulset", JOB, "-n", kube.namespace)["metadata"]
    async with runtime(kube, settings(kube, pulsarDockerImageName="acme/other")) as again:
        with anyio.fail_after(60):
            await again.submit(function())
            await reach(again, function(), Phase.RUNNING)
        assert kube.bed.get("statefulset", JOB, "-n", kube.namespace)["metadata"]["generation"] == before["generation"]


async def test_a_restart_replaces_every_pod_and_takes_up_new_settings(kube: Room) -> None:
    """Asked for by a user, it rolls; applying the function later does not roll again."""
    async with runtime(kube) as kubernetes:
        with anyio.fail_after(90):
            await kubernetes.submit(function())
            await reach(kubernetes, function(), Phase.RUNNING)
            first = {pod["metadata"]["uid"] for pod in kube.bed.get("pods", "-n", kube.namespace)["items"]}
            await kubernetes.submit(function(), restart=True)
            kube.bed.kubectl("rollout", "status", f"statefulset/{JOB}", "-n", kube.namespace, "--timeout=50s")
        second = {pod["metadata"]["uid"] for pod in kube.bed.get("pods", "-n", kube.namespace)["items"]}
        assert not first & second
        generation = kube.bed.get("statefulset", JOB, "-n", kube.namespace)["metadata"]["generation"]
        await kubernetes.submit(function())
        assert kube.bed.get("statefulset", JOB, "-n", kube.namespace)["metadata"]["generation"] == generation


async def test_one_instance_is_restarted_by_itself(kube: Room) -> None:
    """Its pod is replaced, the other one stays."""
    async with runtime(kube) as kubernetes:
        with anyio.fail_after(60):
            await kubernetes.submit(function())
            await reach(kubernetes, function(), Phase.RUNNING)
            before = {
                p["metadata"]["name"]: p["metadata"]["uid"] for p in kube.bed.get("pods", "-n", kube.namespace)["items"]
            }
            await kubernetes.restart_instance(function(), 1)
            kube.bed.kubectl("wait", "--for=create", f"pod/{JOB}-1", "-n", kube.namespace, "--timeout=30s")
            await reach(kubernetes, function(), Phase.RUNNING)
        after = {
            p["metadata"]["name"]: p["metadata"]["uid"] for p in kube.bed.get("pods", "-n", kube.namespace)["items"]
        }
        assert before[f"{JOB}-0"] == after[f"{JOB}-0"]
        assert before[f"{JOB}-1"] != after.get(f"{JOB}-1")


async def test_two_names_that_are_one_in_kubernetes_do_not_share_a_stateful_set(kube: Room) -> None:
    """The second is refused with the first one's name and what to do; the first goes on."""
    second = function()
    second.details.tenant, second.details.namespace, second.details.name = "public-default", "x", "y"
    first = function()
    first.details.tenant, first.details.namespace, first.details.name = "public", "default-x", "y"
    async with runtime(kube) as kubernetes:
        with anyio.fail_after(60):
            await kubernetes.submit(first)
            await reach(kubernetes, first, Phase.RUNNING)
            with pytest.raises(RefusedError, match=r"belongs to the function public/default-x/y.*jobName"):
                await kubernetes.submit(second)
        assert [each.phase for each in kubernetes.reports(first)] == [Phase.RUNNING, Phase.RUNNING]


@pytest.mark.parametrize(
    ("image", "phase", "reason"),
    [
        ("fate.test/crash", Phase.CRASH_LOOPING, "ended with exit code 1\nCrashLoopBackOff: back-off 40s"),
        ("fate.test/image", Phase.BACKING_OFF, "ImagePullBackOff: Back-off pulling image"),
    ],
)
async def test_reports_say_what_is_wrong_with_a_pod(kube: Room, image: str, phase: Phase, reason: str) -> None:
    """The phase is the worker's word, the reason Kubernetes' own."""
    async with runtime(kube, settings(kube, pulsarDockerImageName=image)) as kubernetes:
        with anyio.fail_after(60):
            await kubernetes.submit(function())
            reasons = await reach(kubernetes, function(), phase)
        assert all(each.startswith(reason) for each in reasons)


async def test_a_quota_that_leaves_no_room_is_told_in_its_own_words(kube: Room) -> None:
    """The pods are pending, and the reason is the StatefulSet's event."""
    kube.bed.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "small", "namespace": kube.namespace},
            "spec": {"hard": {"limits.memory": "1Mi"}},
        }
    )
    async with runtime(kube) as kubernetes:
        with anyio.fail_after(60):
            await kubernetes.submit(function())
            while not all("exceeded quota: small" in each.reason for each in kubernetes.reports(function())):
                await kubernetes.changed(kubernetes.generation)
        assert {each.phase for each in kubernetes.reports(function())} == {Phase.PENDING}


async def test_a_budget_and_an_autoscaler_come_and_go_with_the_options(kube: Room) -> None:
    """They are made on request, and removed by an update that asks no more for them."""
    asked = {"magnetar": {"kubernetes": {"podDisruptionBudget": {"minAvailable": 1}, "autoscaler": {"maxReplicas": 5}}}}
    async with runtime(kube) as kubernetes:
        with anyio.fail_after(60):
            await kubernetes.submit(function(options=asked))
            assert kube.bed.names("poddisruptionbudget", kube.namespace) == [JOB]
            assert kube.bed.names("horizontalpodautoscaler", kube.namespace) == [JOB]
            await reach(kubernetes, function(options=asked), Phase.RUNNING, count=1)
            await kubernetes.submit(function())
            await reach(kubernetes, function(), Phase.RUNNING)
        assert kube.bed.names("poddisruptionbudget", kube.namespace) == []
        assert kube.bed.names("horizontalpodautoscaler", kube.namespace) == []


async def test_a_function_that_moves_leaves_nothing_where_it_was(kube: Room) -> None:
    """A new jobName is a new StatefulSet, and the old one goes."""
    async with runtime(kube) as kubernetes:
        with anyio.fail_after(60):
            await kubernetes.submit(function())
            await reach(kubernetes, function(), Phase.RUNNING)
            moved = function(options={"jobName": "elsewhere"})
            await kubernetes.submit(moved)
            await reach(kubernetes, moved, Phase.RUNNING)
        [name] = kube.bed.names("statefulset", kube.namespace)
        assert name.startswith("elsewhere-")
        assert kube.bed.names("service", kube.namespace) == [name]


async def test_what_others_removed_is_noticed(kube: Room) -> None:
    """A StatefulSet that someone deletes disturbs the function: it is to be submitted again."""
    async with runtime(kube) as kubernetes:
        with anyio.fail_after(60):
            await kubernetes.submit(function())
            await reach(kubernetes, function(), Phase.RUNNING)
            kube.bed.kubectl("delete", "statefulset", JOB, "-n", kube.namespace)
            await kubernetes.disturbed(function())
            await kubernetes.submit(function())
            await reach(kubernetes, function(), Phase.RUNNING)


async def test_fields_of_others_stay(kube: Room) -> None:
    """An annotation and a sidecar's label that someone else put there survive an update."""
    async with runtime(kube) as kubernetes:
        with anyio.fail_after(60):
            await kubernetes.submit(function())
            kube.bed.kubectl("annotate", "statefulset", JOB, "owner=ops", "-n", kube.namespace)
            await kubernetes.submit(function(userConfig='{"a":1}'))
        annotations = kube.bed.get("statefulset", JOB, "-n", kube.namespace)["metadata"]["annotations"]
        assert annotations["owner"] == "ops"


async def test_the_leader_sweeps_what_dead_workers_left(kube: Room) -> None:
    """Functions that were unknown twice are removed, those of a fleet on another broker are left alone."""
    other = replace(settings(kube), service_url="pulsar://another:6650")
    async with runtime(kube) as kubernetes, runtime(kube, other) as stranger:
        with anyio.fail_after(60):
            await kubernetes.submit(function("kept"))
            await kubernetes.submit(function("left"))
            await stranger.submit(function("foreign"))
            await reach(kubernetes, function("left"), Phase.RUNNING)
            await reach(kubernetes, function("foreign"), Phase.RUNNING)
            await kubernetes.sweep(["public/default/kept"])
            assert len(kube.bed.names("statefulset", kube.namespace)) == 3
            await kubernetes.sweep(["public/default/kept"])
        assert kube.bed.names("statefulset", kube.namespace) == ["pf-public-default-foreign", "pf-public-default-kept"]


async def test_what_the_api_server_will_never_take_is_refused_with_its_words(kube: Room) -> None:
    """A pod template that is nonsense is named by its path."""
    own = KubernetesOptions.model_validate({"podTemplate": {"spec": {"restartPolicy": "Sometimes"}}})
    async with runtime(kube, settings(kube, own)) as kubernetes:
        with anyio.fail_after(60), pytest.raises(RefusedError, match=r"restartPolicy.*Sometimes"):
            await kubernetes.submit(function())


async def test_events_of_a_functions_objects_are_told(kube: Room) -> None:
    """Those of the StatefulSet and of its pods, in the order in which they happened."""
    async with runtime(kube) as kubernetes:
        with anyio.fail_after(60):
            await kubernetes.submit(function())
            await reach(kubernetes, function(), Phase.RUNNING)
        events = await kubernetes.events(function())
        assert {"SuccessfulCreate", "Scheduled"} <= {each.reason for each in events}
        assert [each.time for each in events] == sorted(each.time for each in events)
