"""What becomes of a message that could not be processed: said, counted, and delivered again or given up."""

import logging
import traceback
from typing import Any

import pulsar

from magnetar_instance.backoff import backoff_of
from magnetar_instance.context import FunctionContext
from magnetar_instance.dead_letters import DeadLetters
from magnetar_instance.entries import Entry
from magnetar_instance.figures import Figures
from magnetar_instance.inputs import Input
from magnetar_instance.proto.function import ATMOST_ONCE
from magnetar_instance.publishing import Apart, Publisher
from magnetar_instance.retry_letters import RetryLetters
from magnetar_instance.settings import InstanceSettings


class Failures:
    """Handles each message's failure alone; the rest of its batch goes on."""

    def __init__(
        self, settings: InstanceSettings, publisher: Publisher, figures: Figures, logger: logging.Logger
    ) -> None:
        self._come_again = settings.details.processingGuarantees != ATMOST_ONCE
        self._dead_letters = DeadLetters(settings, publisher)
        backoff = backoff_of(settings.details)
        self._retry_letters = None if backoff is None else RetryLetters(settings, backoff, publisher)
        self._figures = figures
        self._logger = logger

    def of_function(
        self, source: Input, message: Any, entry: Entry, error: BaseException, context: FunctionContext
    ) -> None:
        """Handle an exception that the function raised."""
        self.tell_of_function(message.message_id(), error)
        self._settle(source, message, entry, error, context)

    def around_function(
        self, source: Input, message: Any, entry: Entry, error: Exception, context: FunctionContext
    ) -> None:
        """Handle an exception before or after the call: reading the message, writing or sending the result."""
        self.tell_around_function(message.message_id(), error)
        self._settle(source, message, entry, error, context)

    def tell_of_function(self, which: object, error: BaseException) -> None:
        """Log and count an exception that the function raised."""
        self._logger.error("the function failed on message %s", which, exc_info=error)
        self._figures.user_failed(error)

    def tell_around_function(self, which: object, error: BaseException) -> None:
        """Log and count an exception before or after the call."""
        self._logger.error("message %s could not be handled", which, exc_info=error)
        self._count(error)

    def _count(self, error: BaseException) -> None:
        self._figures.system_failed("".join(traceback.format_exception(error)), type(error).__name__)

    def _settle(
        self, source: Input, message: Any, entry: Entry, error: BaseException, context: FunctionContext
    ) -> None:
        if self.is_done_with(source, message, entry, error, context.apart):
            if context.confirmation is None:
                entry.messages.append(message)
            else:
                entry.broken = True
            return
        entry.broken = True
        if context.confirmation is not None:
            context.confirmation.withdrawn = True

    def is_done_with(self, source: Input, message: Any, entry: Entry, error: BaseException, apart: Apart) -> bool:
        """Have a message that failed come again; tells whether it was handed over to be given up instead."""
        if not self._come_again:
            return False
        try:
            if self._has_gone(message, entry, error, apart):
                return True
        except pulsar.PulsarException as failure:
            self._logger.exception("message %s could not be sent to its letter topic", message.message_id())
            self._count(failure)
        self._again(source, message)
        return False

    def _has_gone(self, message: Any, entry: Entry, error: BaseException, apart: Apart) -> bool:
        """Send a message to its dead letter or retry letter topic; False where it has neither."""
        if self._dead_letters.are_due(message, entry):
            self._dead_letters.send(message, entry, error, apart)
            self._logger.error("message %s was sent to its dead letter topic", message.message_id())
            return True
        if self._retry_letters is None:
            return False
        delay = self._retry_letters.send(message, entry, apart)
        self._logger.warning("message %s is tried again in %g s", message.message_id(), delay / 1000)
        return True

    def _again(self, source: Input, message: Any) -> None:
        source.reject((message,))


def tell_undelivered(figures: Figures, logger: logging.Logger, result: pulsar.Result, count: int) -> None:
    """Log and count outputs that the broker did not confirm."""
    text = f"the output of {count} message(s) was not confirmed: {result}"
    logger.error("%s", text)
    figures.system_failed(text, str(result).rpartition(".")[2], count)
