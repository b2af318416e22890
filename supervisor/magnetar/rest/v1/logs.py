"""`/magnetar/v1/logs`: what a function's instances wrote, wherever they run."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Depends, Query, Response
from starlette.responses import JSONResponse

from magnetar.coordination.base import WorkerInfo
from magnetar.errors import RefusedError
from magnetar.functions.owners import OwnedElsewhere
from magnetar.functions.states import check_instance
from magnetar.log_files.records import LEVELS, Sieve, Wanted, since_when
from magnetar.model.names import FunctionName
from magnetar.rest.answers import OF_FUNCTION
from magnetar.rest.context import RestContext
from magnetar.rest.paths import Named, P
from magnetar.rest.texts import header_value
from magnetar.rest.v1.log_follow import Window, event, followed, read_tail
from magnetar.rest.v1.server_sent import Remote, ServerSentEvents, relay
from magnetar.runtimes.process.command import log_file

_TAIL, _TAIL_FOLLOWED, _MAX_TAIL = 100, 10, 100_000


def logs_router(context: RestContext) -> APIRouter:
    """Return the routes of logs."""
    router = APIRouter(
        prefix="/magnetar/v1/logs",
        tags=["magnetar"],
        dependencies=[Depends(context.access.namespace)],
        responses=OF_FUNCTION,
    )

    @router.get(P)
    async def logs(
        name: Named,
        instance: int | None = None,
        tail: Annotated[int | None, Query(ge=0, le=_MAX_TAIL)] = None,
        since: str = "",
        level: str = "",
        *,
        follow: bool = False,
    ) -> Response:
        """Return the last lines of each instance's log; followed, as server-sent events that go on.

        Rotated files are read as well. With `instance`, only that one's; redirects to the worker that has it. `since` is a
        time in ISO 8601 or how long ago (30s, 10m, 2h, 1d), `level` the least one: DEBUG, INFO, WARNING, ERROR, CRITICAL.
        """
        asked = _Asked(since, level)
        chosen = await _Chosen.of(context, name, instance)
        usual = _MAX_TAIL if since else _TAIL_FOLLOWED if follow else _TAIL
        window = Window(usual if tail is None else tail, asked.wanted())
        return chosen.follow(window, asked) if follow else await chosen.last(window, asked)

    return router


@dataclass(frozen=True)
class _Asked:
    """What of the logs a client asked for, in its own words."""

    since: str
    level: str

    def wanted(self) -> Wanted:
        """Return what is meant. Raises RefusedError."""
        try:
            since = since_when(self.since) if self.since else None
        except ValueError as error:
            raise RefusedError(f"since: {error}") from None
        level = self.level.upper()
        if level and level not in LEVELS:
            raise RefusedError(f"level: {self.level!r} is none of {', '.join(LEVELS)}")
        return Wanted(since, LEVELS[level] if level else 0)

    def query(self) -> dict[str, str]:
        """Return it as another worker is asked."""
        return {name: value for name, value in (("since", self.since), ("level", self.level)) if value}


class _Chosen:
    """The instances whose logs were asked for: those with files here, those in pods, and those of other workers."""

    def __init__(
        self, context: RestContext, name: FunctionName, here: Sequence[int], elsewhere: dict[int, WorkerInfo]
    ) -> None:
        self._context = context
        self._name = name
        self._pods = context.functions.as_a_whole(name)
        self._files = {} if self._pods else {each: _files(context.settings.log_directory, name, each) for each in here}
        self._in_pods = here if self._pods else ()
        self._elsewhere = elsewhere

    @classmethod
    async def of(cls, context: RestContext, name: FunctionName, instance: int | None) -> "_Chosen":
        """Choose one instance or all. Raises UnknownFunctionError, RefusedError, OwnedElsewhere."""
        count = context.functions.any_metadata(name).functionDetails.parallelism
        check_instance(instance, count)
        wanted = range(count) if instance is None else (instance,)
        owners = await context.functions.owners_elsewhere(name)
        elsewhere = {each: owners[each] for each in wanted if each in owners}
        if instance is not None and instance in elsewhere:
            raise OwnedElsewhere(elsewhere[instance])
        return cls(context, name, [each for each in wanted if each not in elsewhere], elsewhere)

    async def last(self, window: Window, asked: _Asked) -> Response:
        """Return the last lines; a worker that does not answer is named in a warning."""
        lines: list[Any] = []
        warnings = []
        for instance_id, files in self._files.items():
            lines += await anyio.to_thread.run_sync(read_tail, files, instance_id, window)
        for instance_id in self._in_pods:
            try:
                async with self._pod_log(instance_id, window, follow=False) as found:
                    lines += [each async for each in found]
            except ConnectionError as error:
                warnings.append(str(error))
        for instance_id, worker in self._elsewhere.items():
            try:
                lines += await self._context.functions.peers.log(
                    worker, self._name, instance_id, window.count, asked.query()
                )
            except ConnectionError as error:
                warnings.append(str(error))
        response = JSONResponse(lines)
        for warning in warnings:
            response.headers.append("X-Magnetar-Warning", header_value(warning))
        return response

    @asynccontextmanager
    async def _pod_log(
        self, instance_id: int, window: Window, *, follow: bool
    ) -> AsyncIterator[AsyncIterator[dict[str, object]]]:
        assert self._pods is not None
        runtime, spec = self._pods
        sieve = Sieve(window.wanted)
        # A pod's log is asked for by lines alone: of those that are left out nobody knows how many there are.
        count = window.count if window.wanted.everything else _MAX_TAIL
        async with runtime.log(spec, instance_id, count, follow=follow) as lines:
            yield (event(instance_id, line) async for line in lines if sieve.lets_through(line))

    def follow(self, window: Window, asked: _Asked) -> Response:
        """Return the events."""
        peers, name, query = self._context.functions.peers, self._name, asked.query()
        remote: list[Remote] = [
            partial(peers.follow_log, worker, name, each, window.count, query)
            for each, worker in self._elsewhere.items()
        ]
        remote += [partial(self._pod_log, each, window, follow=True) for each in self._in_pods]
        goes_on = lambda: name.fqfn in self._context.coordination.functions  # noqa: E731
        complaint = partial(event, -1)
        return ServerSentEvents([followed(self._files, window, goes_on), *(relay(each, complaint) for each in remote)])


def _files(log_directory: Path, name: FunctionName, instance_id: int) -> tuple[Path, Path]:
    """Return the log of an instance, and beside it what a Java instance prints past its logger."""
    log = log_file(log_directory, *name, instance_id)
    return log, log.with_suffix(".out")
