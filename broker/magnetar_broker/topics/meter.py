"""Counting messages and bytes, and how many of them come in a second."""


class Meter:
    """Counts since the broker's start; `rate` and `throughput` are per second, over the last time between samples."""

    __slots__ = ("_bytes_before", "_messages_before", "bytes", "messages", "rate", "throughput")

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        self.rate = 0.0
        self.throughput = 0.0
        self._messages_before = 0
        self._bytes_before = 0

    def sample(self, seconds: float) -> None:
        """Work out the rates of the time since the last sample."""
        if self.messages == self._messages_before and not self.rate:
            return
        self.rate = (self.messages - self._messages_before) / seconds
        self.throughput = (self.bytes - self._bytes_before) / seconds
        self._messages_before, self._bytes_before = self.messages, self.bytes
