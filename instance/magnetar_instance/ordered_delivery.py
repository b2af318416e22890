"""Inputs that are settled in their order.

Each is acknowledged by itself. What is acknowledged up to some message the client never gives out again; and where the
broker was away at that moment, or died before it had stored that, nobody would ever acknowledge it again.
"""

from collections import deque
from collections.abc import Callable
from itertools import chain
from typing import Any

import pulsar

from magnetar_instance.delivery import ROUNDS_IN_FLIGHT, Confirmation, Deliveries, Policy, Round
from magnetar_instance.entries import Entry
from magnetar_instance.inputs import Input

_PATIENCE_SECONDS = 0.5


class _OfRound(Confirmation):
    """Waits for the answers to what one call published, on behalf of the round that the call is settled with."""

    __slots__ = ("round",)

    def __init__(self) -> None:
        super().__init__(lambda _, result: self.round.answer(result))
        self.round: Confirmation


class OrderedDeliveries(Deliveries):
    """Settles a round when it and all before it are confirmed; after a failure none is settled any more.

    What was sent after something that failed has a higher sequence id: the broker would take nothing lower any more. So
    only a new beginning helps, at the first input that was not acknowledged.
    """

    def __init__(self, failed: Callable[[pulsar.Result, int], None], gives_up: Callable[[], bool]) -> None:
        super().__init__(Policy(rejects=False), failed)
        self._gives_up = gives_up
        self._unsettled: deque[Round] = deque()
        self._confirmations: dict[Round, Confirmation] = {}
        self._results: dict[Round, pulsar.Result] = {}
        self._broken = False

    def set_apart(self, round_: Round, message: Any) -> Confirmation:  # noqa: ARG002 - all belong to their round
        """Return the confirmation of the round: no input is settled before those that came before it."""
        return self._confirmation_of_round(round_)

    def confirmation_of(self, inputs: list[tuple[Input, Entry]]) -> Confirmation:  # noqa: ARG002 - as above
        """Return a confirmation that is to be joined to the round of its inputs before that is flushed."""
        return _OfRound()

    def join(self, round_: Round, confirmation: Confirmation) -> None:
        """Have a round wait for a confirmation too."""
        assert isinstance(confirmation, _OfRound)
        confirmation.round = self._confirmation_of_round(round_)
        confirmation.round.expect()
        round_.apart.append(confirmation)

    def finish(self, round_: Round, producers: list[Any]) -> None:
        """Flush the producers that the round sent to; waits while too many rounds are in flight, unless it is given up."""
        self.flush([round_], producers)
        while not self.wait(ROUNDS_IN_FLIGHT - 1, _PATIENCE_SECONDS):
            if self._abandoned or self._gives_up():
                return

    def flush(self, rounds: list[Round], producers: list[Any], then: Callable[[], None] | None = None) -> None:
        """Flush the producers that the rounds sent to and wait for nothing; `then` is called when all is settled."""
        with self._changed:
            self._unsettled.extend(rounds)
        super().flush(rounds, producers, then)

    def _confirmation_of_round(self, round_: Round) -> Confirmation:
        known = self._confirmations.get(round_)
        if known is None:
            known = self._confirmations[round_] = super()._confirmation_of_round(round_)
        return known

    def _settle_together(self, round_: Round, result: pulsar.Result) -> None:
        with self._changed:
            self._confirmations.pop(round_, None)
            self._results[round_] = result
            ready = []
            while self._unsettled and self._unsettled[0] in self._results:
                first = self._unsettled.popleft()
                ready.append((first, self._results.pop(first)))
        try:
            for each, outcome in ready:
                self._settle_one(each, outcome)
        finally:
            self._count(-1)

    def _settle_one(self, round_: Round, result: pulsar.Result) -> None:
        if result != pulsar.Result.Ok and not self._broken:
            self._broken = True
            if not self._abandoned:
                self._failed(result, sum(len(entry.messages) for entry in round_.together))
        if not self._broken:
            round_.source.acknowledge(chain.from_iterable(entry.identities() for entry in round_.together))
