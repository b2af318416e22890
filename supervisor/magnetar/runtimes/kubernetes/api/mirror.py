"""The objects of one kind in one namespace as the API server tells of them: listed once, then watched."""

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Generic, TypeVar

import anyio

from magnetar.jitter import spread
from magnetar.logs import worker_logger
from magnetar.runtimes.kubernetes.api.client import WATCH_SECONDS, Kind, KubernetesClient, Manifest, Selector
from magnetar.runtimes.kubernetes.api.errors import ExpiredError, ForbiddenError, KubernetesError

Summary = TypeVar("Summary")
_QUIET = WATCH_SECONDS + 30.0
"""Seconds without a word after which a connection is opened anew, should it be dead."""
_LONGEST_PAUSE = 30.0
_WITHOUT_WATCH = 10.0
"""Seconds between two listings where the worker's account may list but not watch."""


class Mirror(Generic[Summary]):
    """Keeps a summary of each object, by name; `run` must run somewhere.

    `changed` is called with the name of what changed, or None when anything may have.
    """

    def __init__(
        self,
        client: KubernetesClient,
        kind: Kind,
        namespace: str,
        labels: Selector,
        summarise: Callable[[Manifest], Summary],
        changed: Callable[[str | None], None],
        fields: Mapping[str, str] | None = None,
    ) -> None:
        self._client = client
        self._kind = kind
        self._namespace = namespace
        self._labels = labels
        self._summarise = summarise
        self._changed = changed
        self._fields = fields
        self._pause = 0.0
        self._may_not_watch = False
        self._log = worker_logger().bind(kind=kind.__name__, namespace=namespace)
        self.items: dict[str, Summary] = {}
        self.listed = anyio.Event()
        self.problem = ""
        """Why the items may be out of date; empty while they are not."""

    async def run(self) -> None:
        """List, then watch, for ever; what goes wrong is told in `problem` and tried again."""
        while True:
            try:
                await self._list_and_watch()
            except ExpiredError:
                continue
            except ForbiddenError as error:
                self._tell(str(error))
                # The timer `following Kubernetes`.
                await anyio.sleep(spread(_WITHOUT_WATCH))
            except KubernetesError as error:
                self._tell(str(error))
                self._pause = min(_LONGEST_PAUSE, self._pause * 2 or 0.5)
                # The timer `following Kubernetes`.
                await anyio.sleep(self._pause * random.uniform(0.5, 1))  # noqa: S311

    async def _list_and_watch(self) -> None:
        listing = await self._client.find(self._kind, self._namespace, self._labels, self._fields)
        self.items = {item["metadata"]["name"]: self._summarise(item) for item in listing.items}
        if not self._may_not_watch:
            self._recovered()
        self.listed.set()
        self._changed(None)
        version = listing.version
        try:
            while True:
                version = await self._follow(version)
        except ForbiddenError:
            self._may_not_watch = True
            raise

    async def _follow(self, version: str) -> str:
        """Take in changes until nothing is heard for long; returns the version to go on from."""
        watch = self._client.watch(self._kind, self._namespace, version, self._labels, self._fields)
        async with aclosing(watch):
            while True:
                heard = await self._next(watch)
                if heard is None:
                    return version
                change, item = heard
                version = item["metadata"]["resourceVersion"]
                self._may_not_watch = False
                self._recovered()
                self._take_in(change, item)

    async def _next(self, watch: AsyncIterator[tuple[str, Manifest]]) -> tuple[str, Manifest] | None:
        with anyio.move_on_after(_QUIET):
            return await anext(watch)
        return None

    def _take_in(self, change: str, item: Manifest) -> None:
        name = item["metadata"]["name"]
        if change == "DELETED":
            self.items.pop(name, None)
        else:
            self.items[name] = self._summarise(item)
        self._changed(name)

    def _tell(self, problem: str) -> None:
        if problem != self.problem:
            self._log.warning("Kubernetes can't be followed; it is tried again.", reason=problem)
        self.problem = problem
        self.listed.set()
        self._changed(None)

    def _recovered(self) -> None:
        if self.problem:
            self._log.info("Kubernetes is followed again.")
        self.problem, self._pause = "", 0.0
