"""The loop of an instance whose function is `async def` or takes lists: an event loop in its thread."""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pulsar

from magnetar_instance import forks
from magnetar_instance.concurrent.calls import Call, Member, context_of
from magnetar_instance.concurrent.desk import Desk
from magnetar_instance.concurrent.forms import Form
from magnetar_instance.concurrent.order import Order
from magnetar_instance.context import FunctionContext
from magnetar_instance.delivery import ROUNDS_IN_FLIGHT, Confirmation, Deliveries
from magnetar_instance.entries import Entry
from magnetar_instance.errors import FunctionExitError
from magnetar_instance.figures import Figures
from magnetar_instance.inputs import Input, Inputs
from magnetar_instance.publishing import Publisher

_TURN = 50
"""So many messages are taken before calls go on."""
_MOST_UNFLUSHED = 5000
_DRAIN_SECONDS = 4.0
_PROGRESS_INTERVAL = 1.0


class ConcurrentRunner:
    """Processes messages in the thread that calls `run`, until `stop` is called from any thread.

    `most` is how many messages the function may have at a time.
    """

    def __init__(
        self,
        *,
        form: Form,
        order: Order,
        most: int,
        context: FunctionContext,
        inputs: Inputs,
        publisher: Publisher,
        figures: Figures,
        desk: Desk,
        deliveries: Deliveries,
        acknowledges_first: bool,
        progress: Callable[[int, int], None],
    ) -> None:
        self._form = form
        self._order = order
        self._most = most
        self._context = context
        self._inputs = inputs
        self._publisher = publisher
        self._figures = figures
        self._desk = desk
        self._deliveries = deliveries
        self._acknowledges_first = acknowledges_first
        self._progress = progress
        self._logger = context.get_logger()
        self._pid = forks.current
        self._loop: asyncio.AbstractEventLoop
        self._changed = asyncio.Event()
        self._confirming = threading.Lock()
        self._receipts: dict[Input, Entry] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy = self._came_back = self._flushing = 0
        self._flush_due = self._told = self._stopping = self._draining = self._cancelling = False
        self._exit: FunctionExitError | None = None

    def run(self) -> None:
        """Process until stopped; what was handed over is confirmed and acknowledged when this returns.

        Raises FunctionExitError, and PulsarException when a consumer can't go on.
        """
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
        except pulsar.PulsarException:
            if not self._stopping:
                raise
        finally:
            asyncio.set_event_loop(None)
            self._loop.close()

    def stop(self) -> None:
        """Finish the calls that are under way, for some seconds at most, and then no more."""
        self._stopping = True
        self._wake()

    def abandon(self) -> None:
        """Stop waiting for confirmations: the client is being closed."""
        self._deliveries.abandon()
        self.stop()

    def _wake(self) -> None:
        self._soon(self._changed.set)

    def _soon(self, call: Callable[[], object]) -> None:
        """Call on the event loop, from any thread; an exception in one of the client's would end the process."""
        with suppress(RuntimeError, AttributeError):  # the loop is closed, or `run` was not called yet
            self._loop.call_soon_threadsafe(call)

    # Receiving.

    async def _main(self) -> None:
        try:
            await self._serve()
        finally:
            await self._drain()
        if self._exit is not None:
            raise self._exit

    async def _serve(self) -> None:
        taken = 0
        while not self._stopping and self._exit is None:
            self._changed.clear()
            room = self._busy < self._most and self._desk.waiting < _MOST_UNFLUSHED
            arrived = self._inputs.waiting() if room else None
            if arrived is None:
                taken = 0
                await self._idle(arm=room)
                continue
            self._take(*arrived)
            taken += 1
            if taken % _TURN == 0 or self._busy >= self._most:
                await asyncio.sleep(0)

    async def _idle(self, *, arm: bool) -> None:
        """Wait until there is something to receive, room for it, or a call that time makes due."""
        if arm:
            self._enter(self._form.quiet())
            self._inputs.arm(self._wake)
        due = self._form.due_at()
        if due is not None and due <= time.monotonic():
            self._enter(self._form.fire())
            return
        timer = self._loop.call_later(due - time.monotonic(), self._changed.set) if due is not None else None
        await self._changed.wait()
        if timer is not None:
            timer.cancel()

    def _take(self, source: Input, message: Any) -> None:
        self._inputs.done_with(source)
        self._figures.received += 1
        member = self._member(source, message)
        if member is not None:
            self._enter(self._calls_of(member))
            due = self._form.due_at()
            if due is not None and due <= time.monotonic():
                self._enter(self._form.fire())

    def _calls_of(self, member: Member) -> list[Call]:
        try:
            return list(self._form.add(member))
        except Exception as error:  # noqa: BLE001 - a timestamp extractor is the user's
            self._desk.undecodable(member, error)
            self._flush_soon()
            return []

    def _member(self, source: Input, message: Any) -> Member | None:
        """Return the message with its value; None for one that is settled already: done before, or no value at all."""
        entry = Entry(message.message_id().serialize(), message.topic_name())
        member = Member(source, message, entry, None)
        if self._done_before(source, entry):
            call = Call([member])
            self._desk.acknowledge(call, member)
            self._close(call)
            return None
        if self._acknowledges_first:
            source.acknowledge((message,))
        try:
            member.value = source.decode(message)
        except Exception as error:  # noqa: BLE001 - a SerDe may be the user's
            self._undecodable(member, error)
            return None
        return member

    def _undecodable(self, member: Member, error: Exception) -> None:
        self._desk.undecodable(member, error)
        self._flush_soon()

    def _done_before(self, source: Input, entry: Entry) -> bool:
        latest = self._receipts.get(source)
        if latest is None or not entry.last.startswith(latest.prefix):
            entry.done = self._deliveries.done_parts.of(entry)
            self._receipts[source] = latest = entry
        return entry.last in latest.done

    # Calling.

    def _enter(self, calls: Iterable[Call]) -> None:
        for call in calls:
            self._busy += len(call.members)
            if self._order.enter(call):
                self._start(call)
        self._tell_soon()

    def _start(self, call: Call) -> None:
        task = self._loop.create_task(self._run(call), name="call of the function")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, call: Call) -> None:
        self._figures.last_invocation = time.time()
        began = time.perf_counter()
        try:
            call.result = await self._form.invoke(call, context_of(self._context, call, self._confirm))
        except asyncio.CancelledError as error:
            if self._cancelling:
                raise
            call.error = error
        except SystemExit as error:
            call.error = error
            self._exit = FunctionExitError(error.code)
        except Exception as error:  # noqa: BLE001 - whatever the function raises is its own
            call.error = error
        if forks.current != self._pid:
            os._exit(0)
        call.took = time.perf_counter() - began
        self._leave(call)

    def _confirm(self, call: Call) -> Confirmation | None:
        with self._confirming:
            return self._desk.confirm(call)

    def _leave(self, call: Call) -> None:
        call.finished = True
        for each in self._order.leave(call):
            self._form.settle(each, self._desk)
            self._busy -= len(each.members)
            self._came_back += len(each.members)
            self._close(each)
        freed = self._order.freed(call)
        if freed is not None and not (self._stopping or self._draining):
            self._start(freed)
        self._changed.set()

    def _close(self, call: Call) -> None:
        with self._confirming:
            self._desk.close(call)
        self._flush_soon()

    # Confirming.

    def _flush_soon(self) -> None:
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Flush what waits, unless enough rounds are in flight: the answer to one of them calls again."""
        self._flush_due = False
        self._figures.turn_minute()
        rounds = self._desk.taken() if self._flushing < ROUNDS_IN_FLIGHT else []
        if rounds:
            self._flushing += 1
            self._context.sync_state()
            self._deliveries.flush(rounds, self._publisher.unflushed(), lambda: self._soon(self._flushed))

    def _flushed(self) -> None:
        self._flushing -= 1
        self._flush()
        self._changed.set()

    # Telling.

    def _tell_soon(self) -> None:
        """Tell of progress now, should the function never come back, and again while there is any."""
        if self._busy and not self._told:
            self._told = True
            self._tell(-1)

    def _tell(self, before: int) -> None:
        self._progress(self._came_back + self._busy, self._came_back)
        if self._busy or self._came_back != before:
            self._loop.call_later(_PROGRESS_INTERVAL, self._tell_again, self._came_back)
        else:
            self._told = False

    def _tell_again(self, before: int) -> None:
        if self._busy and self._came_back == before:
            self._loop.call_later(_PROGRESS_INTERVAL, self._tell_again, before)
        else:
            self._tell(before)

    # Ending.

    async def _drain(self) -> None:
        """Wait for the calls that are under way, a while, and for the broker's answers; what is not done comes again."""
        self._draining = True
        ends = time.monotonic() + _DRAIN_SECONDS
        while self._tasks and not self._deliveries.abandoned and (left := ends - time.monotonic()) > 0:
            await asyncio.wait(self._tasks, timeout=left)
        await self._cancel_all()
        rounds = self._desk.taken()
        if rounds:
            self._context.sync_state()
            self._deliveries.flush(rounds, self._publisher.unflushed())
        if not self._deliveries.wait(timeout=_DRAIN_SECONDS):
            self._logger.warning("stopping without the broker's answer: some inputs will come again")
            self._deliveries.abandon()
        await self._loop.shutdown_asyncgens()

    async def _cancel_all(self) -> None:
        """Cancel calls that did not end, and tasks that the function left."""
        self._cancelling = True
        if self._tasks:
            self._logger.warning("stopping with %d call(s) under way, whose inputs will come again", len(self._tasks))
        rest = asyncio.all_tasks(self._loop) - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest, timeout=1.0)
