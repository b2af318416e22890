"""EFFECTIVELY_ONCE for functions that are `async def` or take batches.

Calls run at the same time. Their results are handed over in the order of the inputs, and a message that failed is tried
again where it stands: nothing that came after it is handed over before.
"""

import asyncio
import contextlib
import time
from collections import deque
from typing import Any

import pulsar

from magnetar_instance.concurrent.calls import Call, Member, context_of
from magnetar_instance.concurrent.desk import Desk
from magnetar_instance.concurrent.forms import OneByOne
from magnetar_instance.concurrent.runner import ConcurrentRunner
from magnetar_instance.effectively_once import SLOW_SECONDS, FailuresInPlace, retry_delays
from magnetar_instance.errors import BeginAnewError, FunctionExitError
from magnetar_instance.failures import tell_undelivered
from magnetar_instance.figures import Figures
from magnetar_instance.ordered_delivery import OrderedDeliveries
from magnetar_instance.outputs import Outputs
from magnetar_instance.sequenced_publishing import SequencedPublisher

_LEAST_SECONDS = 0.05


class OrderedDesk(Desk):
    """Settles all inputs by their rounds, which wait for what the calls published by themselves too."""

    _deliveries: OrderedDeliveries

    def fail_in_place(self, call: Call, member: Member, error: BaseException) -> None:
        """Count a failure, of the function or of reading the message, and note that the message is to be tried again."""
        if error is member.error:
            self._failures.tell_around_function(member.message.message_id(), error)
        else:
            self._failures.tell_of_function(member.message.message_id(), error)
        self.fail(call, member, error)

    def close(self, call: Call) -> None:
        """Put a settled call's inputs into the round that is flushed next."""
        call.over = True
        self.waiting += len(call.acknowledged)
        for source, entry in call.acknowledged:
            self._round(source).together.append(entry)
        if call.confirmation is not None:
            self._deliveries.join(self._round(call.members[0].source), call.confirmation)


class InPlaceRunner(ConcurrentRunner):
    """Settles one call after the other, each of its messages until it succeeds."""

    _desk: OrderedDesk
    _form: OneByOne
    _publisher: SequencedPublisher

    def __init__(
        self, *, outputs: Outputs, failures: FailuresInPlace, figures: Figures, fixed_delay: float, **parts: Any
    ) -> None:
        deliveries = OrderedDeliveries(self._not_delivered, lambda: True)
        desk = OrderedDesk(outputs, failures, figures, deliveries)
        super().__init__(desk=desk, deliveries=deliveries, figures=figures, **parts)
        self._failures = failures
        self._fixed_delay = fixed_delay
        self._came: deque[Call] = deque()
        self._settling = self._tidying = self._waits = False
        self._stopped = asyncio.Event()
        self._ended_by = ""

    def run(self) -> None:
        """Process until stopped. Raises BeginAnewError when a result can't be sent or confirmed."""
        super().run()
        if self._ended_by:
            raise BeginAnewError(self._ended_by)

    def stop(self) -> None:
        """Finish the calls that are under way, for some seconds at most, and then no more."""
        self._publisher.hurry()
        super().stop()
        self._soon(self._stopped.set)

    def _not_delivered(self, result: pulsar.Result, count: int) -> None:
        """Note, on the client's thread, that a result is lost: nothing lower is taken after what followed it."""
        tell_undelivered(self._figures, self._logger, result, count)
        self._begin_anew(f"a result was not confirmed: {result}")

    def _begin_anew(self, why: str) -> None:
        if not self._stopping:
            self._ended_by = why
            self.abandon()

    # Settling.

    def _undecodable(self, member: Member, error: Exception) -> None:
        """Have the message tried again behind those that came before it."""
        self._enter(self._form.fire())
        call = Call([member])
        call.error = member.error = error
        self._busy += 1
        self._order.enter(call)
        self._leave(call)

    def _leave(self, call: Call) -> None:
        call.finished = True
        self._came.extend(self._order.leave(call))
        if self._came and not self._settling:
            self._settling = True
            task = self._loop.create_task(self._settle_all(), name="settling of calls")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._changed.set()

    async def _settle_all(self) -> None:
        while self._came and await self._settle(self._came[0]):
            call = self._came.popleft()
            self._busy -= len(call.members)
            self._came_back += len(call.members)
            self._close(call)
            if call.took > SLOW_SECONDS:
                self._publisher.let_all_go()
            self._tidy_soon()
            self._changed.set()
        self._settling = bool(self._came)

    async def _settle(self, call: Call) -> bool:
        """Hand over the results of a call; False when the instance ends before they could be."""
        for member, first in zip(call.members, self._form.outcomes(call), strict=True):
            outcome, delays = first, retry_delays(self._fixed_delay)
            while not await self._conclude(call, member, outcome):
                if self._publisher.lost:
                    self._begin_anew(self._publisher.lost)
                    return False
                self._publisher.let_all_go()
                if await self._stops_within(next(delays)):
                    return False
                outcome = await self._again(call, member)
        return True

    async def _conclude(self, call: Call, member: Member, outcome: object) -> bool:
        """Hand over a message's result, or count its failure; tells whether it is done with.

        Where a producer's name may have to be waited for, a thread does that: the function's calls go on meanwhile.
        """
        self._failures.failed = False
        if isinstance(outcome, BaseException):
            self._desk.fail_in_place(call, member, outcome)
            return not self._failures.failed
        self._publisher.begin(member.message)
        if self._publisher.may_wait():
            self._waits = True
            try:
                await self._loop.run_in_executor(None, self._desk.conclude, call, member, outcome)
            finally:
                self._waits = False
                self._flush_soon()
        else:
            self._desk.conclude(call, member, outcome)
        return not self._failures.failed

    async def _again(self, call: Call, member: Member) -> object:
        """Read a message and call the function with it once more; returns the result, or an exception."""
        began, member.error = time.perf_counter(), None
        try:
            member.value = member.source.decode(member.message)
        except Exception as error:  # noqa: BLE001 - a SerDe may be the user's
            member.error = error
            return error
        try:
            return await self._form.again(member, context_of(self._context, call, self._confirm))
        except SystemExit as error:
            self._exit = FunctionExitError(error.code)
            return error
        except Exception as error:  # noqa: BLE001 - whatever the function raises is its own
            return error
        finally:
            call.took = time.perf_counter() - began

    async def _stops_within(self, seconds: float) -> bool:
        if self._exit is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopped.wait(), seconds)
        return self._stopping or self._exit is not None

    # Producers.

    def _flush(self) -> None:
        if self._waits:
            self._flush_due = False
        else:
            super()._flush()

    def _tidy_soon(self) -> None:
        due = self._publisher.due()
        if due is not None and not self._tidying:
            self._tidying = True
            self._loop.call_later(max(due, _LEAST_SECONDS), self._tidy)

    def _tidy(self) -> None:
        self._tidying = False
        if not self._waits:
            self._publisher.tidy()
        if self._publisher.lost:
            self._begin_anew(self._publisher.lost)
        self._tidy_soon()
