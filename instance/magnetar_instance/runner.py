"""Receive, call, publish, acknowledge: the loop of one instance."""

import os
import time
import traceback
from collections.abc import Callable
from typing import Any

import pulsar

from magnetar_instance import forks
from magnetar_instance.context import FunctionContext
from magnetar_instance.delivery import Deliveries, Policy, Round
from magnetar_instance.errors import FunctionExitError
from magnetar_instance.figures import Figures
from magnetar_instance.functions import Process
from magnetar_instance.inputs import Input, Inputs
from magnetar_instance.proto.function import ATMOST_ONCE, MANUAL, FunctionDetails
from magnetar_instance.publishing import Publisher, origin_properties
from magnetar_instance.serde import SerDe
from magnetar_instance.settings import InstanceSettings

ROUND_MESSAGES = 500
ROUND_SECONDS = 0.02
"""A round is flushed after so many messages, after so much time, or when nothing waits to be received."""
_PROGRESS_INTERVAL = 1.0


class Runner:
    """Processes messages in the thread that calls `run`, until `stop` is called from any thread."""

    def __init__(
        self,
        settings: InstanceSettings,
        *,
        process: Process,
        context: FunctionContext,
        inputs: Inputs,
        serdes: dict[str, SerDe],
        output_serde: SerDe,
        publisher: Publisher,
        figures: Figures,
        progress: Callable[[], None],
    ) -> None:
        details = settings.details
        self._process = process
        self._context = context
        self._inputs = inputs
        self._serdes = serdes
        self._serialize = output_serde.serialize
        self._output = details.sink.topic
        self._publisher = publisher
        self._figures = figures
        self._progress = progress
        self._at_most_once = details.processingGuarantees == ATMOST_ONCE
        self._deliveries = Deliveries(_policy(details), self._not_delivered)
        self._logger = context.get_logger()
        self._pid = forks.current
        self._stopping = False
        self._progress_due = 0.0
        self._progress_made = False

    def run(self) -> None:
        """Process until stopped; what was handed over is confirmed and acknowledged when this returns."""
        while not self._stopping:
            arrived = self._inputs.next(self._progress_wait())
            if arrived is not None:
                self._round(*arrived)
            self._tell_progress()
        self._deliveries.wait()

    def stop(self) -> None:
        """Finish the message that is being processed and then no more."""
        self._stopping = True
        self._inputs.wake()

    def abandon(self) -> None:
        """Stop waiting for confirmations: the client is being closed."""
        self._stopping = True
        self._deliveries.abandon()
        self._inputs.wake()

    def _round(self, source: Input, message: Any) -> None:
        """Process what waits at an input, up to the bounds of a round, and flush what came of it."""
        self._figures.turn_minute()
        round_ = Round(source)
        self._context.begin_round(self._deliveries, round_)
        deserialize = self._serdes[source.topic].deserialize
        ends = time.perf_counter() + ROUND_SECONDS
        count = 0
        while message is not None:
            self._one(round_, source, message, deserialize)
            count += 1
            if count == ROUND_MESSAGES or self._stopping or time.perf_counter() > ends:
                break
            message = source.take()
        self._inputs.done_with(source)
        self._progress_made = True
        self._deliveries.finish(round_, self._publisher.unflushed())

    def _one(self, round_: Round, source: Input, message: Any, deserialize: Callable[[bytes], object]) -> None:
        figures, context = self._figures, self._context
        figures.received += 1
        if self._at_most_once:
            source.acknowledge([message])
        context.current = message
        context.confirmation = None
        try:
            value = deserialize(message.data())
        except Exception as error:  # noqa: BLE001 - a SerDe may be the user's
            self._failed(source, message, error)
            return
        began = time.perf_counter()
        figures.last_invocation = time.time()
        try:
            result = self._process(value, context)
        except Exception as error:  # noqa: BLE001 - whatever the function raises is its own
            self._user_failed(source, message, error)
            return
        except SystemExit as error:
            self._user_failed(source, message, error)
            raise FunctionExitError(error.code) from error
        took = time.perf_counter() - began
        if forks.current != self._pid:
            os._exit(0)
        if result is not None and self._output and not self._publish(source, message, result):
            return
        figures.processed(took)
        if context.confirmation is None:
            round_.together.append(message)

    def _publish(self, source: Input, message: Any, result: object) -> bool:
        try:
            data = self._serialize(result)
            if data is not None:
                self._publisher.send(self._output, data, origin_properties(message), self._context.apart)
        except Exception as error:  # noqa: BLE001 - a SerDe may be the user's
            self._failed(source, message, error)
            return False
        return True

    def _user_failed(self, source: Input, message: Any, error: BaseException) -> None:
        self._logger.error("the function failed on message %s", message.message_id(), exc_info=error)
        self._figures.user_failed(error)
        self._reject(source, message)

    def _failed(self, source: Input, message: Any, error: Exception) -> None:
        self._logger.error("message %s could not be handled", message.message_id(), exc_info=error)
        self._figures.system_failed("".join(traceback.format_exception(error)), type(error).__name__)
        self._reject(source, message)

    def _reject(self, source: Input, message: Any) -> None:
        if self._context.confirmation is not None:
            self._context.confirmation.withdrawn = True
        if not self._at_most_once:
            source.reject([message])

    def _not_delivered(self, result: pulsar.Result, count: int) -> None:
        text = f"the output of {count} message(s) was not confirmed: {result}"
        self._logger.error("%s", text)
        self._figures.system_failed(text, str(result).rpartition(".")[2], count)

    def _progress_wait(self) -> float | None:
        """Return how long to wait for messages before there is progress to be told of; None for as long as it takes."""
        return max(self._progress_due - time.monotonic(), 0) if self._progress_made else None

    def _tell_progress(self) -> None:
        now = time.monotonic()
        if self._progress_made and now >= self._progress_due:
            self._progress_made = False
            self._progress_due = now + _PROGRESS_INTERVAL
            self._progress()


def _policy(details: FunctionDetails) -> Policy:
    if details.processingGuarantees == ATMOST_ONCE:
        return Policy(acknowledges=False, rejects=False)
    return Policy(acknowledges=details.autoAck and details.processingGuarantees != MANUAL)
