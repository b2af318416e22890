"""Whose turn it is to be updated: of each function one instance after the other, and none after one that failed."""

from dataclasses import dataclass, field

import anyio


@dataclass
class _Rollout:
    turn: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(1, max_value=1))
    failed: dict[str, str] = field(default_factory=dict)


class Rollouts:
    """The roll-outs of one worker's functions, by `tenant/namespace/name`; other workers have their own."""

    def __init__(self) -> None:
        self._rollouts: dict[str, _Rollout] = {}

    def of(self, fqfn: str) -> "Turn":
        """Return what one instance of a function takes its turns with."""
        return Turn(self._rollouts.setdefault(fqfn, _Rollout()))


class Turn:
    """One instance's part in its function's roll-outs; it takes its turn, and ends it whatever comes."""

    def __init__(self, rollout: _Rollout) -> None:
        self._rollout = rollout
        self._mine = False

    async def take(self) -> None:
        """Wait until no other instance is being updated."""
        if not self._mine:
            await self._rollout.turn.acquire()
            self._mine = True

    def end(self) -> None:
        """Let the next one be updated."""
        if self._mine:
            self._mine = False
            self._rollout.turn.release()

    def halt(self, fingerprint: str, reason: str) -> None:
        """Note that an update failed: it is not tried with the other instances."""
        self._rollout.failed = {fingerprint: reason}

    def halted(self, fingerprint: str) -> str:
        """Return why an update is not to be tried, empty when it is."""
        return self._rollout.failed.get(fingerprint, "")

    def forgive(self) -> None:
        """Have updates tried again."""
        self._rollout.failed = {}
