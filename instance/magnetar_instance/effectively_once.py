"""EFFECTIVELY_ONCE: inputs one after the other, and no result before those of all earlier inputs.

The broker takes no sequence id that is lower than one it has. So a message that fails is tried again where it stands, and
nothing overtakes it; what can't be confirmed ends the instance, which begins anew at the first unacknowledged input.
"""

import threading
from collections.abc import Iterator
from typing import Any

import pulsar

from magnetar_instance.delivery import Deliveries, Policy
from magnetar_instance.failures import Failures
from magnetar_instance.inputs import Input
from magnetar_instance.ordered_delivery import OrderedDeliveries
from magnetar_instance.proto.function import EFFECTIVELY_ONCE, FunctionDetails
from magnetar_instance.runner import Runner
from magnetar_instance.sequenced_publishing import SequencedPublisher
from magnetar_instance.settings import InstanceSettings
from magnetar_instance.subscribing import specs_of

_FIRST_DELAY = 1.0
_LONGEST_DELAY = 60.0


def refusals(details: FunctionDetails) -> Iterator[str]:
    """Yield a sentence for everything that would have messages come again out of their order."""
    if details.processingGuarantees != EFFECTIVELY_ONCE:
        return
    if details.source.timeoutMs:
        yield "source.timeoutMs is refused: EFFECTIVELY_ONCE has no message come again out of its order; remove it"
    for topic, spec in specs_of(details).items():
        if "ackTimeoutMillis" in spec.consumerProperties:
            yield f"{topic}: ackTimeoutMillis is refused: EFFECTIVELY_ONCE has no message come again out of its order"


class FailuresInPlace(Failures):
    """Failures of messages that are not delivered again: `failed` tells the runner to try again."""

    failed = False

    def _again(self, source: Input, message: Any) -> None:  # noqa: ARG002 - it stays in hand
        self.failed = True


class OrderedRunner(Runner):
    """Processes messages in their order, each until it succeeds."""

    _publisher: SequencedPublisher
    _failures: FailuresInPlace

    def __init__(self, settings: InstanceSettings, **parts: Any) -> None:
        super().__init__(settings, **parts)
        self._asked_to_stop = threading.Event()
        self._ended_by = ""
        self._fixed_delay = settings.details.source.negativeAckRedeliveryDelayMs / 1000

    def _make_deliveries(self, details: FunctionDetails) -> Deliveries:  # noqa: ARG002 - autoAck has no say, as in Pulsar
        return OrderedDeliveries(Policy(rejects=False), self._not_delivered)

    def _make_failures(self, settings: InstanceSettings) -> Failures:
        return FailuresInPlace(settings, self._publisher, self._figures, self._logger)

    def run(self) -> None:
        """Process until stopped. Raises PulsarException also when a result can't be sent or confirmed."""
        super().run()
        if self._ended_by and not self._asked_to_stop.is_set():
            raise pulsar.PulsarException(self._ended_by)

    def stop(self) -> None:
        """Finish the message that is being processed and then no more."""
        self._asked_to_stop.set()
        super().stop()

    def abandon(self) -> None:
        """Stop waiting for confirmations: the client is being closed."""
        self._asked_to_stop.set()
        super().abandon()

    def _one(self, source: Input, message: Any) -> None:
        delay = _FIRST_DELAY
        while True:
            self._publisher.begin(message)
            self._failures.failed = False
            super()._one(source, message)
            if not self._failures.failed:
                break
            if self._publisher.blocked:
                self._begin_anew(self._publisher.blocked)
                return
            if self._asked_to_stop.wait(self._fixed_delay or delay) or self._stopping:
                return
            delay = min(delay * 2, _LONGEST_DELAY)
        assert self._entry is not None
        if not self._entry.messages or self._entry.messages[-1] is not message:
            self._entry.messages.append(message)

    def _not_delivered(self, result: pulsar.Result, count: int) -> None:
        super()._not_delivered(result, count)
        self._begin_anew(f"a result was not confirmed: {result}")

    def _begin_anew(self, why: str) -> None:
        """End: what is not acknowledged goes to whoever has its partition by then, in order."""
        self._ended_by = why
        self._stopping = True
        self._inputs.end()
