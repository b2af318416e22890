"""One exposition of a worker: its own figures and those of every instance that answers."""

from collections.abc import Sequence
from typing import Protocol

import anyio

from magnetar.health.exposition import merge
from magnetar.runtimes.base import RunningInstance
from magnetar.supervision.base import InstanceView

_DEADLINE = 5.0
"""Seconds that an instance has for its text: one that hangs must not take the others' figures away."""


class AskedInstances(Protocol):
    """The instances whose texts are gathered."""

    def views(self) -> list[InstanceView]:
        """Return every instance of this worker."""

    def running(self, fqiid: str) -> RunningInstance:
        """Return an instance that answers, or raise ConnectionError."""


async def gather(own: str, instances: AskedInstances) -> str:
    """Ask all instances at once and merge their texts behind the worker's own; one that does not answer is left out."""
    views = instances.views()
    texts = [""] * len(views)

    async def ask(index: int, fqiid: str) -> None:
        with anyio.move_on_after(_DEADLINE):
            try:
                texts[index] = await instances.running(fqiid).metrics_text()
            except ConnectionError:
                return

    async with anyio.create_task_group() as tasks:
        for index, view in enumerate(views):
            tasks.start_soon(ask, index, view.fqiid, name=f"metrics of {view.fqiid}")
    return merge([({}, own), *_labelled(views, texts)])


def _labelled(views: Sequence[InstanceView], texts: Sequence[str]) -> list[tuple[dict[str, str], str]]:
    """Give each text the labels that tell its samples from another instance's."""
    return [
        ({"fqfn": view.fqfn, "instance_id": str(view.instance_id)}, text)
        for view, text in zip(views, texts, strict=True)
        if text
    ]
