"""Producer de-duplication: a message that a producer sends again after a lost receipt is not taken twice. Pure."""

from collections import OrderedDict
from dataclasses import dataclass

_PRODUCER_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class Sequence:
    """The place of a message or batch among all of its producer: `highest` is that of a batch's last message."""

    producer: str
    lowest: int
    highest: int
    chunk: int = 0
    chunks: int = 1


class Deduplication:
    """The last sequence id of each producer by name: of what was appended, and of what is durable.

    The names that were not heard of for longest are forgotten beyond 10 000.
    """

    def __init__(self, last: dict[str, int] | None = None) -> None:
        self._durable: OrderedDict[str, int] = OrderedDict(last or {})
        self._appended: dict[str, tuple[int, int]] = {}

    def last(self, producer: str) -> int:
        """Return the last durable sequence id of a producer, -1 when it is not known."""
        return self._durable.get(producer, -1)

    def take(self, sequence: Sequence) -> bool:
        """Note that a message comes; returns false for one that came before."""
        known, chunk = self._appended.get(sequence.producer, (self.last(sequence.producer), -1))
        next_chunk = sequence.lowest == known and 0 < sequence.chunk == chunk + 1
        if sequence.lowest <= known and not next_chunk:
            return False
        whole = sequence.chunk + 1 >= sequence.chunks
        self._appended[sequence.producer] = (sequence.highest, -1 if whole else sequence.chunk)
        return True

    def durable(self, sequence: Sequence) -> None:
        """Note that a message is on disk; of a chunked one the last chunk counts."""
        if sequence.chunk + 1 < sequence.chunks:
            return
        self._durable[sequence.producer] = max(sequence.highest, self.last(sequence.producer))
        self._durable.move_to_end(sequence.producer)
        while len(self._durable) > _PRODUCER_LIMIT:
            forgotten, _ = self._durable.popitem(last=False)
            self._appended.pop(forgotten, None)

    def roll_back(self) -> None:
        """Forget what was appended and is not durable."""
        self._appended.clear()

    def to_json(self) -> dict[str, int]:
        """Return what is durable."""
        return dict(self._durable)
