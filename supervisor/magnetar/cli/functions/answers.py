"""The answer of a deployed function to one value, or why there is none, told once it is known and not after 30 s."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import anyio

from magnetar.cli.functions.reports import reports_of, states_of
from magnetar.cli.output import warn
from magnetar.client import WorkerClient
from magnetar.errors import RefusedByWorkerError, RequestError
from magnetar.model.names import FunctionName
from magnetar.model.status import FunctionInstanceStatusData
from magnetar.tasks import unless

_LOOK = 0.4
_SILENCE = 3.0
"""Seconds for which a function must have been idle until no answer of it is expected any more."""
_REFUSED = 400
_DOWN = ("failed", "crash-looping", "stopped")


@dataclass(frozen=True)
class Counted:
    """What all instances of a function have counted together, and the latest exception."""

    received: int
    succeeded: int
    failed: int
    trouble: str

    @property
    def idle(self) -> bool:
        """Whether nothing that was received is still worked on."""
        return self.received == self.succeeded + self.failed

    def since(self, before: "Counted") -> "Counted":
        """Return what later counts are compared with: an instance that was started anew counts from nothing."""
        fewer = self.received < before.received or self.succeeded < before.succeeded or self.failed < before.failed
        return self if fewer else before


async def answer_of(client: WorkerClient, name: FunctionName, send: Callable[[], Awaitable[str]]) -> str | None:
    """Return what `send` brings, None where the function has returned nothing.

    Raises RequestError where the function failed instead, or can't run, and what `send` raises.
    """
    why = ""

    async def over() -> None:
        nonlocal why
        why = await _no_answer(client, name, before)

    before = await _counted(client, name)
    try:
        answer = await unless(over, send)
    except RefusedByWorkerError as error:
        down = await _down(client, name) if error.status == _REFUSED else ""
        raise RequestError(f"{error.reason}; {down}") if down else error from None
    if answer is None and why:
        raise RequestError(f"{name.fqfn} {why}; see magnetar functions logs {name.fqfn}")
    if answer is None:
        warn(f"{name.fqfn} processed the value and returned nothing")
    return answer


async def _no_answer(client: WorkerClient, name: FunctionName, before: Counted) -> str:
    """Return once no answer will come: with what went wrong, empty where the function returned nothing."""
    last, since = before, anyio.current_time()
    while True:
        await anyio.sleep(_LOOK)
        try:
            now, down = await _counted(client, name), await _down(client, name)
        except RequestError:
            continue  # the value is under way all the same, and its answer tells more
        if now != last:
            before = now.since(before)
            last, since = now, anyio.current_time()
        elif anyio.current_time() - since >= _SILENCE:
            if down:
                return f"has the value and does not run: {down}"
            if now.idle and now.failed != before.failed:
                return f"failed: {now.trouble}"
            if now.idle and now.succeeded != before.succeeded:
                return ""


async def _counted(client: WorkerClient, name: FunctionName) -> Counted:
    states = await states_of(client, name)
    return Counted(
        received=sum(each.num_received for each in states),
        succeeded=sum(each.num_successfully_processed for each in states),
        failed=sum(each.num_user_exceptions + each.num_system_exceptions for each in states),
        trouble=trouble(states),
    )


async def _down(client: WorkerClient, name: FunctionName) -> str:
    """Return why no instance runs or is about to; empty where one is, and of Pulsar's own worker, which tells no phases."""
    found = await reports_of(client, name)
    if any(each.phase not in _DOWN for each in found):
        return ""
    return next((f"instance {each.instance_id} is {each.phase}{_because(each.reason)}" for each in found), "")


def _because(reason: str) -> str:
    first = reason.strip().partition("\n")[0]
    return f": {first}" if first else ""


def trouble(states: list[FunctionInstanceStatusData]) -> str:
    """Return the last line of the latest exception of a function, empty without one."""
    kept = [
        exception
        for each in states
        for exception in (*(each.latest_user_exceptions or ()), *(each.latest_system_exceptions or ()))
    ]
    latest = max(kept, key=lambda each: each.timestamp_ms, default=None)
    return latest.sentence if latest else ""
