"""Whose turn it is to be updated: of each function one instance after the other, and none after one that failed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio

from magnetar.supervision.refusal import Refusal


def nothing_to_let_go() -> None:
    """Stand for a turn that nobody else waits for."""


async def nobody_waits(_fqiid: str, _waiting: Callable[[str], None]) -> Callable[[], None]:
    """Stand for the turns of a worker that is alone."""
    return nothing_to_let_go


async def nobody_refused(_fqfn: str, _fingerprint: str) -> Refusal | None:
    """Stand for the refusals of a fleet of one."""
    return None


@dataclass(frozen=True)
class OtherWorkers:
    """The rest of the fleet, as far as updates go.

    `turn` waits until no other worker replaces an instance of the function, tells meanwhile what it waits for, and returns
    what lets the next one go on; `refusal` asks whether another worker found that a version can't be run.
    """

    turn: Callable[[str, Callable[[str], None]], Awaitable[Callable[[], None]]] = nobody_waits
    refusal: Callable[[str, str], Awaitable[Refusal | None]] = nobody_refused


@dataclass
class _Rollout:
    turn: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(1, max_value=1))
    failed: Refusal | None = None


class Rollouts:
    """The roll-outs of the functions of one worker, by `tenant/namespace/name`."""

    def __init__(self, others: OtherWorkers | None = None) -> None:
        self._others = others or OtherWorkers()
        self._rollouts: dict[str, _Rollout] = {}

    def of(self, fqfn: str) -> "Turn":
        """Return what one instance of a function takes its turns with."""
        return Turn(fqfn, self._rollouts.setdefault(fqfn, _Rollout()), self._others)

    def refusal(self, fqfn: str) -> Refusal | None:
        """Return the version of a function that is not tried here."""
        known = self._rollouts.get(fqfn)
        return known.failed if known is not None else None


class Turn:
    """One instance's part in its function's roll-outs; it takes its turn, and ends it whatever comes."""

    def __init__(self, fqfn: str, rollout: _Rollout, others: OtherWorkers) -> None:
        self._fqfn = fqfn
        self._rollout = rollout
        self._others = others
        self._mine = False
        self._let_others: Callable[[], None] | None = None

    async def take(self) -> None:
        """Wait until no other instance of this worker is being updated."""
        if not self._mine:
            await self._rollout.turn.acquire()
            self._mine = True

    async def take_everywhere(self, fqiid: str, waiting: Callable[[str], None]) -> None:
        """Wait until no instance of another worker is being updated either; `waiting` is told what is waited for."""
        if self._let_others is None:
            self._let_others = await self._others.turn(fqiid, waiting)

    def end_elsewhere(self) -> None:
        """Let the other workers go on."""
        let_others, self._let_others = self._let_others, None
        if let_others is not None:
            let_others()

    def end(self) -> None:
        """Let the next one be updated."""
        self.end_elsewhere()
        if self._mine:
            self._mine = False
            self._rollout.turn.release()

    def halt(self, refusal: Refusal) -> None:
        """Note that an update failed: it is not tried with other instances, here or elsewhere."""
        self._rollout.failed = refusal.brief

    def halted(self, fingerprint: str) -> Refusal | None:
        """Return why an update is not to be tried, as far as this worker knows."""
        failed = self._rollout.failed
        return failed if failed is not None and failed.fingerprint == fingerprint else None

    async def halted_anywhere(self, fingerprint: str) -> Refusal | None:
        """Return why an update is not to be tried, as far as any worker knows; what others say is remembered."""
        known = self.halted(fingerprint) or await self._others.refusal(self._fqfn, fingerprint)
        if known is not None:
            self.halt(known)
        return known

    def forgive(self) -> None:
        """Have updates tried again."""
        self._rollout.failed = None
