"""`/magnetar/v1/instances/…/events`: what happened to a function's instances, wherever and in whatever they run."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from starlette.responses import JSONResponse

from magnetar.errors import UnknownFunctionError
from magnetar.functions.states import check_instance
from magnetar.model.names import FunctionName, fqiid
from magnetar.rest.answers import OF_FUNCTION
from magnetar.rest.context import RestContext
from magnetar.rest.paths import InstanceId, Named, P
from magnetar.rest.texts import header_value
from magnetar.rest.v1.event_follow import followed_here, followed_pods, here, of_kubernetes
from magnetar.rest.v1.server_sent import ServerSentEvents, Source, Told, relay

Since = Annotated[int, Query(ge=0)]


def events_router(context: RestContext) -> APIRouter:
    """Return the routes of events; to be included before those of instances, whose number would be `events`."""
    router = APIRouter(
        prefix="/magnetar/v1/instances",
        tags=["magnetar"],
        dependencies=[Depends(context.access.namespace)],
        responses=OF_FUNCTION,
    )

    @router.get(f"{P}/events")
    async def events(name: Named, instance: int | None = None, since: Since = 0, *, follow: bool = False) -> Response:
        """Return the last events of all instances, oldest first, those of other workers and of Kubernetes included.

        With `since`, those with a higher number; followed, as server-sent events that go on. A worker that does not answer
        is named in a warning.
        """
        check_instance(instance, context.functions.any_metadata(name).functionDetails.parallelism)
        return await _answer(context, name, instance, since, follow=follow)

    @router.get(f"{P}/{{id}}/events")
    async def instance_events(
        name: Named, instance_id: InstanceId, since: Since = 0, *, follow: bool = False
    ) -> Response:
        """Return the last events of one instance, or follow them, as those of all."""
        if not 0 <= instance_id < context.functions.any_metadata(name).functionDetails.parallelism:
            raise UnknownFunctionError(f"there is no instance {fqiid(name.fqfn, instance_id)}")
        return await _answer(context, name, instance_id, since, follow=follow)

    return router


async def _answer(
    context: RestContext, name: FunctionName, instance: int | None, since: int, *, follow: bool
) -> Response:
    if follow:
        return ServerSentEvents(await _sources(context, name, instance, since))
    told, warnings = await _last(context, name, instance, since)
    response = JSONResponse(told)
    for warning in warnings:
        response.headers.append("X-Magnetar-Warning", header_value(warning))
    return response


async def _last(
    context: RestContext, name: FunctionName, instance: int | None, since: int
) -> tuple[list[Told], list[str]]:
    """Return the events that are kept, and who did not answer."""
    if (whole := context.functions.as_a_whole(name)) is not None:
        told = [of_kubernetes(event) for event in await whole[0].events(whole[1])]
        return [each for each in told if instance in (None, each["instanceId"])], []
    told, warnings = here(context, name.fqfn, instance, since), []
    for each, worker in (await context.functions.owners_elsewhere(name)).items():
        if instance in (None, each):
            try:
                told += await context.functions.peers.events(worker, name, each, since)
            except ConnectionError as error:
                warnings.append(str(error))
    return sorted(told, key=lambda each: str(each["time"])), warnings


async def _sources(context: RestContext, name: FunctionName, instance: int | None, since: int) -> Sequence[Source]:
    if (whole := context.functions.as_a_whole(name)) is not None:
        return [followed_pods(*whole, instance, lambda: name.fqfn in context.coordination.functions)]
    elsewhere = await context.functions.owners_elsewhere(name)
    asked = {each: worker for each, worker in elsewhere.items() if instance in (None, each)}
    peers = context.functions.peers
    remote = [
        relay(partial(peers.follow_events, worker, name, each, since), partial(_complaint, each))
        for each, worker in asked.items()
    ]
    return remote if instance in asked else [followed_here(context, name.fqfn, instance, since), *remote]


def _complaint(instance_id: int, reason: str) -> Told:
    return {
        "number": None,
        "at": None,
        "time": "",
        "instanceId": instance_id,
        "source": "magnetar",
        "event": "unreachable",
        "phase": "",
        "reason": reason,
        "pid": None,
    }
