"""How far event time has come: no message that is older is waited for any longer. Pure."""

import math


class Watermark:
    """The latest time of each input, less the lag that messages may have; the input that is furthest behind decides."""

    def __init__(self, inputs: int, max_lag_ms: int) -> None:
        self._inputs = inputs
        self._max_lag_ms = max_lag_ms
        self._latest: dict[str, float] = {}
        self.now = -math.inf
        """The watermark that was told last."""

    def takes(self, topic: str, at: float) -> bool:
        """Note a message's time; tells whether it is not late."""
        self._latest[topic] = max(self._latest.get(topic, -math.inf), at)
        return at >= self.now

    def advance(self) -> float:
        """Return the watermark as it is now; before each input had a message there is none."""
        if len(self._latest) >= self._inputs:
            self.now = max(self.now, min(self._latest.values()) - self._max_lag_ms)
        return self.now
