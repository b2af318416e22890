"""Inputs on their way to being acknowledged: only once the broker has confirmed what came of them.

Outputs are sent without a callback each, which would cost ten times as much as the sending, and confirmed together by one
flush: a round. An output that a flush says nothing certain about gets a callback of its own, and its input is settled
apart from the round. Answers come on the client's threads, in which an exception would end the process.

At high rates the thread that processes also acknowledges: the client gives up the interpreter lock in every call, and two
threads that take it from each other cost half of the rate. At low rates, and while that thread waits, the client's thread
acknowledges at once.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pulsar

from magnetar_instance.entries import DoneParts, Entry
from magnetar_instance.inputs import Input
from magnetar_instance.proto.function import ATMOST_ONCE, MANUAL, FunctionDetails

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

    __slots__ = ("apart", "hurried", "source", "together")

    def __init__(self, source: Input) -> None:
        self.source = source
        self.hurried = False
        """Set when the round was filled to its bound: more follows, and acknowledging can wait for the next round."""
        self.together: list[Entry] = []
        self.apart: list[Confirmation] = []


@dataclass(frozen=True)
class Policy:
    """What becomes of an input whose outputs were confirmed, and of one whose outputs were not."""

    acknowledges: bool = True
    rejects: bool = True


def policy_of(details: FunctionDetails) -> Policy:
    """Return the policy of a function's guarantee."""
    if details.processingGuarantees == ATMOST_ONCE:
        return Policy(acknowledges=False, rejects=False)
    return Policy(acknowledges=details.autoAck and details.processingGuarantees != MANUAL)


class Deliveries:
    """Settles rounds, of which a few may be in flight."""

    def __init__(self, policy: Policy, failed: Callable[[pulsar.Result, int], None]) -> None:
        self._policy = policy
        self._failed = failed
        self._changed = threading.Condition()
        self._in_flight = 0
        self._abandoned = False
        self._idle = False
        self.done_parts = DoneParts()
        self._confirmed: deque[Round] = deque()

    def set_apart(self, round_: Round, message: Any) -> Confirmation:
        """Return the confirmation of an input that is settled apart from its round."""
        alone = Entry(message.message_id().serialize(), message.topic_name())
        alone.messages.append(message)
        alone.broken = True
        confirmation = self.confirmation_of([(round_.source, alone)])
        round_.apart.append(confirmation)
        return confirmation

    def confirmation_of(self, inputs: list[tuple[Input, Entry]]) -> Confirmation:
        """Return a confirmation of inputs that are settled together; they may be added until its last answer has come."""
        self._count(1)
        return Confirmation(lambda own, result: self._settle_apart(own, inputs, result))

    def finish(self, round_: Round, producers: list[Any]) -> None:
        """Flush the producers that the round sent to; waits while too many rounds are in flight."""
        self.flush([round_], producers)
        self.acknowledge_confirmed()
        self.wait(ROUNDS_IN_FLIGHT - 1)

    def flush(self, rounds: list[Round], producers: list[Any], then: Callable[[], None] | None = None) -> None:
        """Flush the producers that the rounds sent to and wait for nothing; `then` is called when all is settled."""
        self._count(len(rounds))
        waiting = [self._confirmation_of_round(round_) for round_ in rounds]
        waiting += [confirmation for round_ in rounds for confirmation in round_.apart]
        if then is not None:
            waiting.append(Confirmation(lambda _own, _result: then()))
        for each in waiting:
            each.expect(len(producers))
        for producer in producers:
            producer.flush_async(lambda result: _answer_all(waiting, result))
        _answer_all(waiting, pulsar.Result.Ok)

    def _confirmation_of_round(self, round_: Round) -> Confirmation:
        return Confirmation(lambda _, result: self._settle_together(round_, result))

    def acknowledge_confirmed(self, *, then_idle: bool = False) -> None:
        """Acknowledge what was confirmed meanwhile; `then_idle` leaves what is confirmed later to the client's thread."""
        with self._changed:
            self._idle = then_idle
        while self._confirmed:
            round_ = self._confirmed.popleft()
            self._settle(round_.source, round_.together, pulsar.Result.Ok)

    def _settle_together(self, round_: Round, result: pulsar.Result) -> None:
        with self._changed:
            postponed = round_.hurried and not self._idle and result == pulsar.Result.Ok and self._policy.acknowledges
            if postponed:
                self._confirmed.append(round_)
        try:
            if not postponed:
                self._settle(round_.source, round_.together, result)
        finally:
            self._count(-1)

    def _settle_apart(
        self, confirmation: Confirmation, inputs: list[tuple[Input, Entry]], result: pulsar.Result
    ) -> None:
        try:
            if not confirmation.withdrawn:
                if not inputs and result != pulsar.Result.Ok and not self._abandoned:
                    self._failed(result, 1)
                for source, entry in inputs:
                    self._settle(source, [entry], result)
        finally:
            self._count(-1)

    def _settle(self, source: Input, entries: list[Entry], result: pulsar.Result) -> None:
        if result == pulsar.Result.Ok:
            if self._policy.acknowledges:
                source.acknowledge(chain.from_iterable(entry.identities() for entry in entries))
                for entry in entries:
                    if entry.broken and entry.is_batch:
                        self.done_parts.note(entry)
        elif not self._abandoned:
            messages = [message for entry in entries for message in entry.messages]
            self._failed(result, len(messages))
            if self._policy.rejects:
                source.reject(messages)

    def _count(self, change: int) -> None:
        with self._changed:
            self._in_flight += change
            self._changed.notify_all()

    def wait(self, most: int = 0, timeout: float | None = None) -> bool:
        """Wait until at most so many are in flight; False when the time is over or `abandon` was called."""
        with self._changed:
            self._changed.wait_for(lambda: self._in_flight <= most or self._abandoned, timeout)
            return self._in_flight <= most

    @property
    def abandoned(self) -> bool:
        """Whether `abandon` was called."""
        return self._abandoned

    def abandon(self) -> None:
        """Let nobody wait any longer: the client is being closed."""
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()


def _answer_all(confirmations: list[Confirmation], result: pulsar.Result) -> None:
    for each in confirmations:
        each.answer(result)
