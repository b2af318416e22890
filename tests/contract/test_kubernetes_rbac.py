from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml
from kube.bed import Room, requires_kube
from kube.functions import function, reach, runtime
from magnetar.errors import RequestError
from magnetar.lifecycle import Phase
from magnetar.runtimes.kubernetes.runtime import KubernetesRuntime

pytestmark = [requires_kube(), pytest.mark.timeout(180)]
FILE = Path(__file__).parents[2] / "conf" / "kubernetes" / "rbac.yaml"
ROLES = {
    each["metadata"]["name"]: each["rules"] for each in yaml.safe_load_all(FILE.read_text()) if each["kind"] == "Role"
}
NEEDED, MORE = ROLES["functions-worker"], ROLES["functions-worker-more"]
OPTIONS = {"magnetar": {"kubernetes": {"podDisruptionBudget": {"minAvailable": 1}}}}


def rights(rules: list[dict[str, Any]]) -> Iterator[tuple[str, str, str]]:
    for rule in rules:
        for verb in rule["verbs"]:
            yield rule["apiGroups"][0], rule["resources"][0], verb


def without(rules: list[dict[str, Any]], resource: str, verb: str) -> list[dict[str, Any]]:
    left = [
        {**rule, "verbs": [each for each in rule["verbs"] if (rule["resources"][0], each) != (resource, verb)]}
        for rule in rules
    ]
    return [rule for rule in left if rule["verbs"]]


async def exercise(
    kubernetes: KubernetesRuntime, options: dict[str, Any] | None = None, told: Callable[[], bool] | None = None
) -> list[str]:
    """Submit, watch, restart and remove a function; returns every sentence that was said about what went wrong.

    It is watched until `told`, or for a while.
    """
    spec, said = function(options=options), []

    async def attempt(work: Any) -> None:
        try:
            await work
        except RequestError as error:
            said.append(str(error))

    with anyio.fail_after(100):
        await attempt(kubernetes.submit(spec))
        while told and not told():  # noqa: ASYNC110 - the log tells nobody
            await anyio.sleep(0.05)
        with anyio.move_on_after(3):
            await reach(kubernetes, spec, Phase.RUNNING)
        said += [each.reason for each in kubernetes.reports(spec)]
        await attempt(kubernetes.restart_instance(spec, 0))
        with anyio.move_on_after(15):
            await attempt(kubernetes.remove(spec))
    return said


async def test_the_shipped_role_suffices(kube: Room) -> None:
    """A function without credentials comes, runs and goes with the first Role of the file and nothing else."""
    kube.bed.kubectl("apply", "-n", kube.namespace, "-f", str(FILE))
    kube.bed.kubectl("delete", "rolebinding", "functions-worker-more", "-n", kube.namespace)
    kubeconfig = kube.bed.kubeconfig_of(kube.namespace, "functions-worker")
    async with runtime(kube, kubeconfig=kubeconfig) as kubernetes:
        said = await exercise(kubernetes)
    assert [each for each in said if each] == []
    assert kube.bed.names("statefulset", kube.namespace) == []
    assert kube.bed.names("service", kube.namespace) == []


@pytest.mark.parametrize(("group", "resource", "verb"), list(rights(NEEDED)), ids=lambda part: part or "core")
async def test_each_missing_right_is_told_in_one_line(
    kube: Room, caplog: pytest.LogCaptureFixture, group: str, resource: str, verb: str
) -> None:
    """Verb, resource, namespace and service account stand in one line, in an error, a report or the log."""
    kubeconfig = kube.bed.account(kube.namespace, "narrow", without(NEEDED, resource, verb))
    async with runtime(kube, kubeconfig=kubeconfig) as kubernetes:
        said = await exercise(kubernetes)
    said += caplog.messages
    full = f"{resource}.{group}" if group else resource
    wanted = f"service account {kube.namespace}/narrow may not {verb} {full} in the namespace {kube.namespace}"
    assert any(wanted in each and "\n" not in each for each in said), said


@pytest.mark.parametrize("resource", ["events", "poddisruptionbudgets"])
async def test_what_is_not_needed_degrades_with_a_line(
    kube: Room, caplog: pytest.LogCaptureFixture, resource: str
) -> None:
    """The function runs all the same; what lacks its right says so."""
    kube.bed.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "one", "namespace": kube.namespace},
            "spec": {"hard": {"pods": "1"}},
        }
    )
    rules = [*NEEDED, *(rule for rule in MORE if rule["resources"][0] != resource)]
    kubeconfig = kube.bed.account(kube.namespace, "narrow", rules)
    # Events are asked for only once pods have been missing for a while.
    options, told = (OPTIONS, None) if resource != "events" else (None, lambda: "may not" in caplog.text)
    async with runtime(kube, kubeconfig=kubeconfig) as kubernetes:
        said = await exercise(kubernetes, options, told)
    said += caplog.messages
    assert any("narrow may not" in each and resource in each for each in said), said
