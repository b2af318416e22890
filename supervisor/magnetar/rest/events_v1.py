"""`/magnetar/v1/events`: what happened to a function's instances lately, wherever they run."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse

from magnetar.functions.states import check_instance
from magnetar.model.names import FunctionName, fqiid
from magnetar.rest.context import RestContext
from magnetar.rest.paths import Named, P
from magnetar.rest.texts import header_value
from magnetar.runtimes.base import ExternalEvent, ExternalRuntime, FunctionSpec

Told = dict[str, Any]


def events_router(context: RestContext) -> APIRouter:
    """Return the route of events."""
    router = APIRouter(
        prefix="/magnetar/v1/events", tags=["magnetar"], dependencies=[Depends(context.access.namespace)]
    )

    @router.get(P)
    async def events(name: Named, instance: int | None = None) -> JSONResponse:
        """Return the last events of all instances, or of one, oldest first; those of pods are Kubernetes' own.

        A worker that does not answer is named in a warning.
        """
        count = context.functions.any_metadata(name).functionDetails.parallelism
        check_instance(instance, count)
        wanted = list(range(count)) if instance is None else [instance]
        whole = context.functions.as_a_whole(name)
        if whole is not None:
            return JSONResponse(await _of_pods(*whole, instance))
        told, warnings = await _of_workers(context, name, wanted)
        response = JSONResponse(sorted(told, key=lambda each: str(each["time"])))
        for warning in warnings:
            response.headers.append("X-Magnetar-Warning", header_value(warning))
        return response

    return router


async def _of_pods(runtime: ExternalRuntime, spec: FunctionSpec, instance: int | None) -> list[Told]:
    told = [_of_kubernetes(event) for event in await runtime.events(spec)]
    return [each for each in told if instance in (None, each["instanceId"])]


async def _of_workers(context: RestContext, name: FunctionName, wanted: list[int]) -> tuple[list[Told], list[str]]:
    """Return the events of single instances, here and on other workers, and who did not answer."""
    elsewhere = await context.functions.owners_elsewhere(name)
    told: list[Told] = []
    warnings = []
    for each in wanted:
        if each not in elsewhere:
            told += _here(context, name, each)
            continue
        try:
            told += await context.functions.peers.events(elsewhere[each], name, each)
        except ConnectionError as error:
            warnings.append(str(error))
    return told, warnings


def _here(context: RestContext, name: FunctionName, instance_id: int) -> list[Told]:
    return [
        {
            "time": datetime.fromtimestamp(event.at, UTC).isoformat(timespec="milliseconds"),
            "instanceId": instance_id,
            "source": "magnetar",
            "event": event.event.value,
            "phase": event.phase.value,
            "reason": event.reason,
        }
        for event in context.instances.events(fqiid(name.fqfn, instance_id))
    ]


def _of_kubernetes(event: ExternalEvent) -> Told:
    ordinal = event.about.rpartition("-")[2]
    is_pod = event.kind == "Pod" and ordinal.isdigit()
    return {
        "time": event.time,
        "instanceId": int(ordinal) if is_pod else None,
        "source": "kubernetes",
        "event": event.reason,
        "phase": "",
        "reason": event.message,
    }
