"""Trying again, later and later, what a broker that is silent or refuses may yet allow."""

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import anyio
from structlog.stdlib import BoundLogger

from magnetar.errors import BrokerRefusedError, NotReadyError
from magnetar.jitter import spread

T = TypeVar("T")

# What the broker, or the way to it, may answer differently next time.
PASSING = (NotReadyError, BrokerRefusedError, anyio.ClosedResourceError)

_FIRST, _LONGEST = 0.05, 5.0


def delays(longest: float = _LONGEST) -> Iterator[float]:
    """Yield how long to wait before each attempt: from 50 ms, doubled up to `longest`, spread by a quarter."""
    delay = _FIRST
    while True:
        yield spread(delay)
        delay = min(longest, delay * 2)


async def patiently(what: str, call: Callable[[], Awaitable[T]], logger: BoundLogger) -> T:
    """Call until it succeeds; the first failure of a row is logged with its reason, and so is what came of it."""
    waits = delays()
    reason = ""
    while True:
        try:
            result = await call()
        except PASSING as error:
            told = str(error) or type(error).__name__
            if told != reason:
                logger.warning("a step failed and is tried again", step=what, reason=told)
            reason = told
            # The timer `retries`.
            await anyio.sleep(next(waits))
        else:
            if reason:
                logger.info("a step succeeded again", step=what)
            return result
