"""One namespace of Kubernetes: its StatefulSets, Services and pods that are functions' of any Pulsar worker."""

from collections import defaultdict
from typing import Any

import anyio

from magnetar.changes import Changes
from magnetar.runtimes.kubernetes.api.client import POD, SERVICE, STATEFUL_SET, KubernetesClient
from magnetar.runtimes.kubernetes.api.mirror import Mirror
from magnetar.runtimes.kubernetes.states import Job, Pod

FUNCTIONS = {"component": None, "tenant": None, "namespace": None, "name": None}
"""The labels that every function's objects have, whichever worker made them."""


class Namespace:
    """What is known of a namespace; `run` must run somewhere."""

    def __init__(self, client: KubernetesClient, name: str, changes: Changes) -> None:
        self.name = name
        self._all = changes
        self._each: defaultdict[str, Changes] = defaultdict(Changes)
        self._jobs = Mirror(client, STATEFUL_SET, name, FUNCTIONS, Job.of, self._job_changed)
        self._services = Mirror(client, SERVICE, name, FUNCTIONS, _owners, self._job_changed)
        self._pods = Mirror(client, POD, name, FUNCTIONS, Pod.of, lambda _: changes.announce())

    def _job_changed(self, name: str | None) -> None:
        """Wake whoever waits for one job: with a thousand of them nobody is woken for the others."""
        for each in [name] if name is not None else list(self._each):
            if each in self._each:
                self._each.pop(each).announce()
        self._all.announce()

    async def run(self) -> None:
        """Follow all three kinds for ever."""
        async with anyio.create_task_group() as tasks:
            for mirror, what in ((self._jobs, "StatefulSets"), (self._services, "Services"), (self._pods, "pods")):
                tasks.start_soon(mirror.run, name=f"follow the {what} of {self.name}")

    async def listed(self) -> None:
        """Wait until everything was listed once or can't be."""
        for mirror in (self._jobs, self._services, self._pods):
            await mirror.listed.wait()

    @property
    def jobs(self) -> dict[str, Job]:
        """The StatefulSets by name."""
        return self._jobs.items

    @property
    def services(self) -> dict[str, list[str]]:
        """The ids of the owners of Services, by the Services' names."""
        return self._services.items

    @property
    def pods(self) -> dict[str, Pod]:
        """The pods by name."""
        return self._pods.items

    @property
    def problem(self) -> str:
        """Why what is known may be out of date; empty while it is not."""
        return self._jobs.problem or self._pods.problem or self._services.problem

    def is_whole(self, name: str) -> bool:
        """Whether a job and its Service are there, as far as can be known."""
        job = self.jobs.get(name)
        gone = not self._jobs.problem and (job is None or job.deleting)
        return not gone and (bool(self._services.problem) or name in self.services)

    async def until_gone(self, name: str) -> None:
        """Wait until a StatefulSet is not there any more; with foreground deletion its pods are gone by then."""
        while name in self.jobs:
            await self.job_changed(name)

    async def job_changed(self, name: str) -> None:
        """Wait until something of a StatefulSet or its Service changes."""
        await self._each[name].after(0)


def _owners(service: dict[str, Any]) -> list[str]:
    return [owner["uid"] for owner in service["metadata"].get("ownerReferences", [])]
