"""How many requests a second the worker takes: `httpRequestsLimitEnabled` and `httpRequestsMaxPerSecond`."""

import time
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from magnetar.rest.refusal import reason


class Bucket:
    """Lets a rate through, and at most one second's worth at once; clock-free but for the one it is given."""

    def __init__(self, rate: float, now: Callable[[], float]) -> None:
        self._rate = rate
        self._most = max(rate, 1.0)
        self._now = now
        self._left = self._most
        self._seen = now()

    def take(self) -> bool:
        """Whether one more may pass now."""
        now = self._now()
        self._left = min(self._most, self._left + (now - self._seen) * self._rate)
        self._seen = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class RateLimit:
    """Answers what is above the rate with 429."""

    def __init__(self, app: ASGIApp, rate: float) -> None:
        self._app = app
        self._rate = rate
        self._bucket = Bucket(rate, time.monotonic)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or refuse it."""
        if scope["type"] == "http" and not self._bucket.take():
            sentence = f"more than {self._rate:g} requests a second came in: wait, or raise httpRequestsMaxPerSecond"
            await reason(429, sentence, {"Retry-After": "1"})(scope, receive, send)
            return
        await self._app(scope, receive, send)
