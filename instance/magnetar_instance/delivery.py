"""Inputs on their way to being acknowledged: only once the broker has confirmed what came of them.

Outputs are sent without a callback each, which would cost ten times as much as the sending, and confirmed together by one
flush: a round. An output that a flush says nothing certain about gets a callback of its own, and its input is settled
apart from the round. Answers come on the client's threads, in which an exception would end the process.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pulsar

from magnetar_instance.inputs import Input

ROUNDS_IN_FLIGHT = 4


class Confirmation:
    """Waits for a number of answers and then tells, once, what the first bad one was; Ok when all were good."""

    __slots__ = ("_done", "_lock", "_missing", "_result", "withdrawn")

    def __init__(self, done: Callable[["Confirmation", pulsar.Result], None]) -> None:
        self.withdrawn = False
        """Set when the input was rejected already."""
        self._done = done
        self._lock = threading.Lock()
        self._missing = 1
        self._result = pulsar.Result.Ok

    def expect(self, count: int = 1) -> None:
        """Wait for more answers, before the last of those known has come."""
        with self._lock:
            self._missing += count

    def answer(self, result: pulsar.Result) -> None:
        """Take an answer of the client."""
        with self._lock:
            self._missing -= 1
            if result != pulsar.Result.Ok and self._result == pulsar.Result.Ok:
                self._result = result
            if self._missing:
                return
        self._done(self, self._result)


class Round:
    """The inputs of one flush: `together` are settled by it, `apart` have confirmations of their own."""

    __slots__ = ("apart", "source", "together")

    def __init__(self, source: Input) -> None:
        self.source = source
        self.together: list[Any] = []
        self.apart: list[Confirmation] = []


@dataclass(frozen=True)
class Policy:
    """What becomes of an input whose outputs were confirmed, and of one whose outputs were not."""

    acknowledges: bool = True
    rejects: bool = True


class Deliveries:
    """Settles rounds, of which a few may be in flight."""

    def __init__(self, policy: Policy, failed: Callable[[pulsar.Result, int], None]) -> None:
        self._policy = policy
        self._failed = failed
        self._settled = threading.Condition()
        self._in_flight = 0
        self._abandoned = False

    def set_apart(self, round_: Round, message: Any) -> Confirmation:
        """Return the confirmation of an input that is settled apart from its round."""
        with self._settled:
            self._in_flight += 1
        confirmation = Confirmation(lambda own, result: self._settle(own, round_.source, [message], result))
        round_.apart.append(confirmation)
        return confirmation

    def finish(self, round_: Round, producers: list[Any]) -> None:
        """Flush the producers that the round sent to; waits while too many rounds are in flight."""
        with self._settled:
            self._in_flight += 1
        together = Confirmation(lambda own, result: self._settle(own, round_.source, round_.together, result))
        waiting = [together, *round_.apart]
        for each in waiting:
            each.expect(len(producers))
        for producer in producers:
            producer.flush_async(lambda result: _answer_all(waiting, result))
        _answer_all(waiting, pulsar.Result.Ok)
        self.wait(ROUNDS_IN_FLIGHT - 1)

    def _settle(self, confirmation: Confirmation, source: Input, messages: list[Any], result: pulsar.Result) -> None:
        try:
            if confirmation.withdrawn:
                return
            if result == pulsar.Result.Ok:
                if self._policy.acknowledges:
                    source.acknowledge(messages)
            elif not self._abandoned:
                self._failed(result, len(messages))
                if self._policy.rejects:
                    source.reject(messages)
        finally:
            with self._settled:
                self._in_flight -= 1
                self._settled.notify_all()

    def wait(self, most: int = 0, timeout: float | None = None) -> bool:
        """Wait until at most so many are in flight; False when the time is over or `abandon` was called."""
        with self._settled:
            self._settled.wait_for(lambda: self._in_flight <= most or self._abandoned, timeout)
            return self._in_flight <= most

    def abandon(self) -> None:
        """Let nobody wait any longer: the client is being closed."""
        with self._settled:
            self._abandoned = True
            self._settled.notify_all()


def _answer_all(confirmations: list[Confirmation], result: pulsar.Result) -> None:
    for each in confirmations:
        each.answer(result)
