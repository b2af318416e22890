"""What happens to the instances of a function, as it happens."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

import anyio

from magnetar.errors import RequestError
from magnetar.jitter import spread
from magnetar.model.names import fqiid
from magnetar.rest.context import RestContext
from magnetar.rest.v1.server_sent import Outlet, Source, Told
from magnetar.runtimes.base import ExternalEvent, ExternalRuntime, FunctionSpec
from magnetar.supervision.events import InstanceEvent
from magnetar.tasks import unless

_LOOK = 2.0
"""Seconds between questions for the events of pods, which are asked for while somebody follows them."""


def of_magnetar(instance_id: int, event: InstanceEvent) -> Told:
    """Return an event of an instance that a worker supervises."""
    return {
        "number": event.number,
        "at": event.at,
        "time": datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds"),
        "instanceId": instance_id,
        "source": "magnetar",
        "event": event.event.value,
        "phase": event.phase.value,
        "reason": event.reason,
        "pid": event.pid,
    }


def of_kubernetes(event: ExternalEvent) -> Told:
    """Return an event of a pod, or of the StatefulSet, which has no instance; they have no number."""
    ordinal = event.about.rpartition("-")[2]
    is_pod = event.kind == "Pod" and ordinal.isdigit()
    return {
        "number": None,
        "at": _seconds(event.time),
        "time": event.time,
        "instanceId": int(ordinal) if is_pod else None,
        "source": "kubernetes",
        "event": event.reason,
        "phase": "",
        "reason": event.message,
        "pid": None,
    }


def _seconds(time: str) -> float | None:
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return None


def here(context: RestContext, fqfn: str, instance: int | None, since: int) -> list[Told]:
    """Return the events of a function's instances on this worker with a number above `since`, by their times."""
    known = context.coordination.functions.get(fqfn)
    count = known.functionDetails.parallelism if known else 0
    wanted = range(count) if instance is None else (instance,)
    told = [of_magnetar(each, event) for each in wanted for event in context.instances.events(fqiid(fqfn, each), since)]
    return sorted(told, key=lambda each: str(each["time"]))


def followed_here(context: RestContext, fqfn: str, instance: int | None, since: int) -> Source:
    """Return a source of the events of this worker's instances, from those that are kept on, while the function is there."""

    async def events(outlet: Outlet) -> None:
        seen: dict[object, int] = {}
        while True:
            generation = context.instances.generation
            found = here(context, fqfn, instance, 0)
            newest = {each["instanceId"]: int(str(each["number"])) for each in found}
            # One that was removed and came back counts from one again.
            seen = {each: number for each, number in seen.items() if newest.get(each, 0) >= number}
            for each in found:
                if int(str(each["number"])) > seen.get(each["instanceId"], since):
                    await outlet.send(each)
            seen |= newest
            if fqfn not in context.coordination.functions:
                return
            await _until_changed(context, generation)

    return events


async def _until_changed(context: RestContext, seen: int) -> None:
    """Wait until an instance changes, or the functions do."""
    functions = context.coordination.generation
    await unless(partial(context.coordination.changed, functions), partial(context.instances.changed, seen))


def followed_pods(
    runtime: ExternalRuntime, spec: FunctionSpec, instance: int | None, goes_on: Callable[[], bool]
) -> Source:
    """Return a source of Kubernetes' events of a function; they are asked for every two seconds, and when a pod changes."""

    async def events(outlet: Outlet) -> None:
        seen: set[tuple[str, ...]] = set()
        while goes_on():
            generation = runtime.generation
            for event in await _asked(runtime, spec):
                key = (event.time, event.about, event.reason, event.message)
                told = of_kubernetes(event)
                if key not in seen and instance in (None, told["instanceId"]):
                    await outlet.send(told)
                seen.add(key)
            # The timer `following`.
            with anyio.move_on_after(spread(_LOOK)):
                await runtime.changed(generation)

    return events


async def _asked(runtime: ExternalRuntime, spec: FunctionSpec) -> list[ExternalEvent]:
    try:
        return await runtime.events(spec)
    except RequestError:
        return []  # asked again soon
