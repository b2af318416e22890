"""When a dead instance is started again: at once, then later and later; long health makes a death the first again."""

from dataclasses import dataclass
from typing import Literal

RestartMode = Literal["always", "on-failure", "never"]
"""Which ends a restart follows, in the words of a function's own options."""


@dataclass(frozen=True)
class RestartPolicy:
    """How often and how fast, in seconds; `intensity` deaths within `period` mark a crash loop, until it is forgotten.

    `max_restarts` in a row, without lasting health between them, are the last ones; None: there is no last one.
    """

    initial_delay: float = 0.5
    max_delay: float = 60.0
    forget_after: float = 60.0
    intensity: int = 5
    period: float = 60.0
    max_restarts: int | None = None


@dataclass(frozen=True)
class History:
    """The deaths that still count: their times on a monotonic clock, and how many came without lasting health between.

    `looping` says that these have been a crash loop: its own long delays would else end it.
    """

    deaths: tuple[float, ...] = ()
    streak: int = 0
    looping: bool = False


@dataclass(frozen=True)
class Decision:
    """Start again after `delay` seconds; `looping` marks the crash loop, `exhausted` says not to start again."""

    delay: float
    looping: bool
    history: History
    exhausted: bool = False


def starts_again(mode: RestartMode, *, failed: bool) -> bool:
    """Tell whether an instance that ended is started again."""
    return mode == "always" or (mode == "on-failure" and failed)


def after_death(policy: RestartPolicy, history: History, *, now: float, healthy_for: float, chance: float) -> Decision:
    """Decide what follows a death at `now` of an instance that had been healthy for `healthy_for` seconds.

    `chance` is a random number of [0, 1): the delay is spread over its whole range (full jitter), so that instances that
    died together do not come back together. In a crash loop it is at least half of the cap.
    """
    streak = 1 if healthy_for >= policy.forget_after else history.streak + 1
    deaths = (*(t for t in history.deaths if now - t < policy.period), now)[-policy.intensity :]
    looping = len(deaths) >= policy.intensity or (history.looping and streak > 1)
    kept = History(deaths, streak, looping)
    if policy.max_restarts is not None and streak > policy.max_restarts:
        return Decision(0.0, looping=False, history=kept, exhausted=True)
    if looping:
        return Decision(policy.max_delay * (0.5 + chance / 2), looping=True, history=kept)
    if streak == 1:
        return Decision(0.0, looping=False, history=kept)
    ceiling = min(policy.max_delay, policy.initial_delay * 2.0 ** (streak - 2))
    return Decision(ceiling * chance, looping=False, history=kept)


def after_refusal(policy: RestartPolicy, failures: int, *, chance: float) -> float:
    """Return the seconds to wait after the n-th failure to fetch or place a package, which may mend itself."""
    return min(policy.max_delay, policy.initial_delay * 2.0 ** min(failures, 16)) * (0.5 + chance / 2)
