"""One topic, read into a mapping: once to its end, or for as long as something else writes it."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from structlog.stdlib import BoundLogger

from magnetar.changes import Changes
from magnetar.coordination.codec import Received, UnreadableError
from magnetar.pulsar_client import EARLIEST, Message, MessageId, PulsarClient, Reader

Change = TypeVar("Change")
Value = TypeVar("Value")


@dataclass(frozen=True)
class TopicForm(Generic[Change, Value]):
    """How a topic is read: a compacted one from its beginning each time, another from where it was left.

    A reader that was away while a compacted topic was compacted never hears of the deletions in between; reading it whole
    is how they are found.
    """

    topic: str
    reader_name: str
    compacted: bool
    decode: Callable[[Received], Change | None]
    apply: Callable[[Mapping[str, Value], Iterable[Change]], Mapping[str, Value]]


class TopicView(Generic[Change, Value]):
    """The mapping that a topic adds up to; `changes` are announced when it is replaced by another one.

    `last` is the place of the last message that counts in it, and `progress` is announced with each that is read.
    """

    def __init__(
        self, form: TopicForm[Change, Value], client: PulsarClient, changes: Changes, logger: BoundLogger
    ) -> None:
        self._form = form
        self._client = client
        self._changes = changes
        self._logger = logger
        self.snapshot: Mapping[str, Value] = {}
        self.last: MessageId = EARLIEST
        self.progress = Changes()

    async def load(self) -> None:
        """Read the topic to its end."""
        async with self._reader() as reader:
            await self._read_to_end(reader)

    async def tail(self, loaded: Callable[[], None]) -> None:
        """Read the topic to its end, call `loaded`, and go on with whatever comes, until cancelled."""
        async with self._reader() as reader:
            await self._read_to_end(reader)
            loaded()
            while True:
                first = await reader.read()
                self._take(self.snapshot, [first, *await reader.read_available()])

    def wrote(self, changes: Iterable[Change], place: MessageId) -> None:
        """Take over what this worker itself sent, whose last message is at `place`."""
        self.last = max(place, self.last)
        self._replace(self._form.apply(self.snapshot, changes))

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[Reader]:
        form = self._form
        start = EARLIEST if form.compacted else self.last
        reader = await self._client.reader(form.topic, start, compacted=form.compacted, name=form.reader_name)
        try:
            yield reader
        finally:
            await reader.close()

    async def _read_to_end(self, reader: Reader) -> None:
        before = {} if self._form.compacted else self.snapshot
        self._take(before, await reader.read_available())

    def _take(self, before: Mapping[str, Value], messages: list[Message]) -> None:
        self._replace(self._form.apply(before, self._decoded(messages)))
        if messages:
            self.last = messages[-1].id
            self.progress.announce()

    def _decoded(self, messages: list[Message]) -> list[Change]:
        found = []
        for message in messages:
            try:
                change = self._form.decode(message)
            except UnreadableError as error:
                self._logger.warning("skipped an unreadable message", topic=message.topic, id=message.id, reason=error)
                continue
            if change is not None:
                found.append(change)
        return found

    def _replace(self, after: Mapping[str, Value]) -> None:
        if after is self.snapshot or after == self.snapshot:
            return
        self.snapshot = after
        self._changes.announce()
