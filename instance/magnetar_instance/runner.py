"""Receive, call, publish, acknowledge: the loop of one instance."""

import os
import time
from collections.abc import Callable
from typing import Any

import pulsar

from magnetar_instance import forks
from magnetar_instance.api import Message
from magnetar_instance.context import FunctionContext
from magnetar_instance.delivery import Deliveries, Round, policy_of
from magnetar_instance.entries import Entry
from magnetar_instance.errors import FunctionExitError
from magnetar_instance.failures import Failures, tell_undelivered
from magnetar_instance.figures import Figures
from magnetar_instance.functions import UserFunction
from magnetar_instance.inputs import Input, Inputs
from magnetar_instance.messages import INPUT_ID, INPUT_TOPIC, id_text
from magnetar_instance.outputs import Origin, Outputs, is_shaped
from magnetar_instance.proto.function import ATMOST_ONCE, FunctionDetails
from magnetar_instance.publishing import Publisher
from magnetar_instance.settings import InstanceSettings

ROUND_MESSAGES = 500
ROUND_SECONDS = 0.05
"""A round is flushed after so many messages, after so much time, or when nothing waits to be received."""
_MANY = 50
"""A round of so many messages, with more waiting, is acknowledged by this thread after the next one."""
_MOST_REST = 1000
"""By so many messages a round is exceeded at most, to end where one of the broker's entries ends."""
_PROGRESS_INTERVAL = 1.0
_DRAIN_SECONDS = 5.0


class Runner:
    """Processes messages in the thread that calls `run`, until `stop` is called from any thread."""

    def __init__(
        self,
        settings: InstanceSettings,
        *,
        function: UserFunction,
        context: FunctionContext,
        inputs: Inputs,
        encode: Callable[[object], bytes | None],
        outputs: Outputs,
        publisher: Publisher,
        figures: Figures,
        progress: Callable[[int, int], None],
    ) -> None:
        details = settings.details
        self._process = function.process
        self._takes_context = function.takes_context
        self._context = context
        self._inputs = inputs
        self._encode = encode
        self._output = details.sink.topic
        self._outputs = outputs
        self._publisher = publisher
        self._new_message = publisher.result_builder()
        self._figures = figures
        self._progress = progress
        self._at_most_once = details.processingGuarantees == ATMOST_ONCE
        self._deliveries = self._make_deliveries(details)
        self._logger = context.get_logger()
        self._failures = self._make_failures(settings)
        self._pid = forks.current
        self._may_hurry = details.source.timeoutMs == 0
        self._stopping = False
        self._entry: Entry | None = None
        self._round_now: Round
        self._progress_due = 0.0
        self._progress_made = False
        self._told_busy = False

    def _make_deliveries(self, details: FunctionDetails) -> Deliveries:
        return Deliveries(policy_of(details), self._not_delivered)

    def _make_failures(self, settings: InstanceSettings) -> Failures:
        return Failures(settings, self._publisher, self._figures, self._logger)

    def run(self) -> None:
        """Process until stopped; what was handed over is confirmed and acknowledged when this returns.

        Raises FunctionExitError, and PulsarException when a consumer can't go on.
        """
        try:
            while not self._stopping:
                arrived = self._next()
                if arrived is not None:
                    self._tell_busy()
                    self._round(*arrived)
                self._tell_progress()
                self._publisher.tidy()
        except pulsar.PulsarException:
            if not self._stopping:
                raise
        finally:
            self._drain()

    def _drain(self) -> None:
        if not self._deliveries.wait(timeout=_DRAIN_SECONDS):
            self._logger.warning("stopping without the broker's answer: some inputs will come again")
            self._deliveries.abandon()
        self._deliveries.acknowledge_confirmed()

    def _next(self) -> tuple[Input, Any] | None:
        arrived = self._inputs.waiting()
        # What waited may have been the call to stop: nobody would call again.
        if arrived is None and not self._stopping:
            self._deliveries.acknowledge_confirmed(then_idle=True)
            arrived = self._inputs.next(self._longest_wait())
        return arrived

    def stop(self) -> None:
        """Finish the message that is being processed and then no more."""
        self._stopping = True
        self._publisher.hurry()
        self._inputs.end()

    def abandon(self) -> None:
        """Stop waiting for confirmations: the client is being closed."""
        self._stopping = True
        self._publisher.hurry()
        self._deliveries.abandon()
        self._inputs.end()

    def _round(self, source: Input, message: Any) -> None:
        """Process what waits at an input, up to the bounds of a round, and flush what came of it."""
        self._figures.turn_minute()
        round_ = self._round_now = Round(source)
        self._entry = None
        self._context.begin_round(self._deliveries, round_)
        try:
            round_.hurried = self._take(source, message) and self._may_hurry
        finally:
            self._inputs.done_with(source)
            self._progress_made = True
            self._context.sync_state()
            self._deliveries.finish(round_, self._publisher.unflushed())

    def _take(self, source: Input, message: Any) -> bool:
        """Process one message after the other; tells whether there were many and more wait."""
        receive, one = source.receive, self._one
        ends = time.perf_counter() + ROUND_SECONDS
        count, most = 0, ROUND_MESSAGES
        while True:
            one(source, message)
            count += 1
            if count == most and (most := count + self._rest_of_entry(count)) == count:
                return True
            if self._stopping or time.perf_counter() > ends:
                return count >= _MANY
            try:
                message = receive(0)
            except pulsar.Timeout:
                return False

    def _rest_of_entry(self, count: int) -> int:
        """Return by how much to exceed a round, so that it ends where an entry ends."""
        if self._entry is None or count >= ROUND_MESSAGES + _MOST_REST:
            return 0
        return min(self._entry.rest, _MOST_REST)

    def _one(self, source: Input, message: Any) -> None:
        figures, context = self._figures, self._context
        figures.received += 1
        identity = message.message_id().serialize()
        entry = self._entry
        if entry is None or not identity.startswith(entry.prefix):
            entry = self._next_entry(identity, message)
        entry.last = identity
        if identity in entry.done:
            entry.messages.append(message)
            return
        if self._at_most_once:
            source.acknowledge((message,))
        context.current = message
        context.confirmation = None
        try:
            value = source.decode(message)
        except Exception as error:  # noqa: BLE001 - a SerDe may be the user's
            self._failures.around_function(source, message, entry, error, context)
            return
        figures.last_invocation = time.time()
        began = time.perf_counter()
        try:
            result = self._process(value, context) if self._takes_context else self._process(value)
        except Exception as error:  # noqa: BLE001 - whatever the function raises is its own
            self._failures.of_function(source, message, entry, error, context)
            return
        except SystemExit as error:
            self._failures.of_function(source, message, entry, error, context)
            raise FunctionExitError(error.code) from error
        took = time.perf_counter() - began
        if forks.current != self._pid:
            os._exit(0)
        if result is not None and not self._publish(source, message, entry, result):
            return
        figures.processed(took)
        if context.confirmation is None:
            entry.messages.append(message)
        else:
            entry.broken = True

    def _next_entry(self, identity: bytes, message: Any) -> Entry:
        entry = self._entry = Entry(identity, message.topic_name())
        entry.done = self._deliveries.done_parts.of(entry)
        self._round_now.together.append(entry)
        return entry

    def _publish(self, source: Input, message: Any, entry: Entry, result: object) -> bool:
        try:
            kind = type(result)
            if kind is Message or (kind is list and is_shaped(result)):
                self._outputs.send(Origin(entry.topic, entry.last, message), result, self._context.apart)
                return True
            if not self._output:
                return True
            data = self._encode(result)
            if data is not None:
                builder = self._new_message()
                builder.content(data)
                builder.property(INPUT_TOPIC, entry.topic)
                builder.property(INPUT_ID, id_text(entry.last))
                if properties := message.properties():
                    for name, value in self._outputs.carried(properties):
                        builder.property(name, value)
                self._publisher.send_result(builder.build(), len(data), self._context.apart)
        except Exception as error:  # noqa: BLE001 - a SerDe may be the user's
            self._failures.around_function(source, message, entry, error, self._context)
            return False
        return True

    def _not_delivered(self, result: pulsar.Result, count: int) -> None:
        tell_undelivered(self._figures, self._logger, result, count)

    def _longest_wait(self) -> float | None:
        """Return how long to wait for messages before there is something else to do; None for as long as it takes."""
        waits = (self._progress_wait(), self._publisher.due())
        return min((wait for wait in waits if wait is not None), default=None)

    def _progress_wait(self) -> float | None:
        """Return how long to wait for messages before there is progress to be told of; None for as long as it takes."""
        return max(self._progress_due - time.monotonic(), 0) if self._progress_made else None

    def _tell_busy(self) -> None:
        """Tell of the message that is about to be processed: should the function never come back, this is the last word."""
        if not self._told_busy:
            self._told_busy = True
            self._progress(self._figures.received + 1, self._figures.received)

    def _tell_progress(self) -> None:
        now = time.monotonic()
        if self._progress_made and now >= self._progress_due:
            self._progress_made = self._told_busy = False
            self._progress_due = now + _PROGRESS_INTERVAL
            self._progress(self._figures.received, self._figures.received)
