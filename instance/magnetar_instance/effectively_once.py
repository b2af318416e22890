"""EFFECTIVELY_ONCE: inputs one after the other, and no result before those of all earlier inputs.

The broker takes no sequence id that is lower than one it has. So a message that fails is tried again where it stands, and
nothing overtakes it; where something can't be confirmed the instance begins anew at the first unacknowledged input.
"""

import threading
import time
from collections.abc import Iterator
from typing import Any

import pulsar

from magnetar_instance.delivery import Deliveries
from magnetar_instance.errors import BeginAnewError
from magnetar_instance.failures import Failures
from magnetar_instance.input_specs import specs_of
from magnetar_instance.inputs import Input
from magnetar_instance.ordered_delivery import OrderedDeliveries
from magnetar_instance.proto.function import EFFECTIVELY_ONCE, FunctionDetails
from magnetar_instance.runner import Runner
from magnetar_instance.sequenced_publishing import SequencedPublisher
from magnetar_instance.settings import InstanceSettings

_FIRST_DELAY = 1.0
_LONGEST_DELAY = 60.0
SLOW_SECONDS = 0.25
"""A function that takes so long keeps no producer's name meanwhile; they are had again within milliseconds."""


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


def fixed_delay(details: FunctionDetails) -> float:
    """Return after how many seconds a message that failed is tried again; 0 for a delay that grows."""
    return details.source.negativeAckRedeliveryDelayMs / 1000


def retry_delays(fixed: float) -> Iterator[float]:
    """Yield the seconds between the attempts at one message."""
    delay = fixed or _FIRST_DELAY
    while True:
        yield delay
        delay = fixed or min(delay * 2, _LONGEST_DELAY)


class OrderedRunner(Runner):
    """Processes messages in their order, each until it succeeds."""

    _publisher: SequencedPublisher
    _failures: FailuresInPlace

    def __init__(self, settings: InstanceSettings, **parts: Any) -> None:
        super().__init__(settings, **parts)
        self._asked_to_stop = threading.Event()
        self._ended_by = ""
        self._fixed_delay = fixed_delay(settings.details)

    def _make_deliveries(self, details: FunctionDetails) -> Deliveries:  # noqa: ARG002 - autoAck has no say, as in Pulsar
        return OrderedDeliveries(self._not_delivered, self._gives_up)

    def _make_failures(self, settings: InstanceSettings) -> Failures:
        return FailuresInPlace(settings, self._publisher, self._figures, self._logger)

    def run(self) -> None:
        """Process until stopped. Raises BeginAnewError when a result can't be sent or confirmed."""
        super().run()
        if self._ended_by and not self._asked_to_stop.is_set():
            raise BeginAnewError(self._ended_by)

    def _next(self) -> tuple[Input, Any] | None:
        if self._publisher.lost:
            self._begin_anew(self._publisher.lost)
            return None
        return super()._next()

    def _drain(self) -> None:
        if self._ended_by:
            self._deliveries.abandon()
        super()._drain()

    def stop(self) -> None:
        """Finish the message that is being processed and then no more."""
        self._asked_to_stop.set()
        super().stop()

    def abandon(self) -> None:
        """Stop waiting for confirmations: the client is being closed."""
        self._asked_to_stop.set()
        super().abandon()

    def _round(self, source: Input, message: Any) -> None:
        began = time.monotonic()
        super()._round(source, message)
        if time.monotonic() - began > SLOW_SECONDS:
            self._publisher.let_all_go()

    def _one(self, source: Input, message: Any) -> None:
        delays = retry_delays(self._fixed_delay)
        while True:
            self._publisher.begin(message)
            self._failures.failed = False
            super()._one(source, message)
            if not self._failures.failed:
                break
            if self._publisher.lost:
                self._begin_anew(self._publisher.lost)
                return
            self._publisher.let_all_go()
            if self._asked_to_stop.wait(next(delays)) or self._stopping:
                return
        assert self._entry is not None
        if not self._entry.messages or self._entry.messages[-1] is not message:
            self._entry.messages.append(message)

    def _not_delivered(self, result: pulsar.Result, count: int) -> None:
        super()._not_delivered(result, count)
        self._begin_anew(f"a result was not confirmed: {result}")

    def _gives_up(self) -> bool:
        """Let other instances have what they wait for, while this one waits itself; tells whether that is in vain."""
        self._publisher.let_all_go()
        self._publisher.look_for_lost()
        if self._publisher.lost:
            self._begin_anew(self._publisher.lost)
        return bool(self._ended_by)

    def _begin_anew(self, why: str) -> None:
        """End: what is not acknowledged goes to whoever has its partition by then, in order."""
        self._ended_by = why
        self._stopping = True
        self._inputs.end()
