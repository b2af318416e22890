"""What the journal held, taken in when the broker opens."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from magnetar_broker.store.columns import Run
from magnetar_broker.store.scan import HEAD_BEGINS, HEAD_ENDS, Damage
from magnetar_broker.tenancy import Tenancy
from magnetar_broker.topics.topic import Topic

logger = logging.getLogger(__name__)


class Restored(Protocol):
    """What is filled."""

    tenancy: Tenancy

    def restore_topic(self, name: str, topic_id: int | None) -> None:
        """Take in that a topic exists, or no longer does."""

    def with_id(self, topic_id: int) -> Topic | None:
        """Return the topic with an id."""

    def forget_except(self, keys: set[str]) -> None:
        """Forget topics and subscriptions that have no setting among some keys."""


class Replay:
    """Fills a broker; damage is told and passed over, so that one bad spot takes no other topic along."""

    def __init__(self, restored: Restored) -> None:
        self._restored = restored
        self._head: set[str] | None = None

    def head(self, settings: Sequence[tuple[str, object]], older: Iterator[Run]) -> None:
        """Take in all settings that there are, and the entries from before them.

        Entries need their topics first; what a topic's settings say of its entries comes last.
        """
        for key, value in settings:
            if not key.startswith("t/"):
                self._setting(key, value)
        for run in older:
            topic = self._restored.with_id(run.topic_id)
            if topic is not None:
                topic.entries.replay_run(run)
        for key, value in settings:
            if key.startswith("t/"):
                self._setting(key, value)

    def run(self, run: Run) -> None:
        """Take entries in; those of deleted topics are no longer wanted."""
        topic = self._restored.with_id(run.topic_id)
        if topic is not None:
            topic.replay_run(run)

    def setting(self, key: str, value: object) -> None:
        """Take a setting in."""
        if key == HEAD_BEGINS:
            self._head = set()
        elif key == HEAD_ENDS and self._head is not None:
            self._restored.tenancy.forget_except(self._head)
            self._restored.forget_except(self._head)
            self._head = None
        else:
            if self._head is not None:
                self._head.add(key)
            self._setting(key, value)

    def _setting(self, key: str, value: object) -> None:
        kind, _, name = key.partition("/")
        if kind == "topic":
            self._topic(name, value)
        elif kind == "t":
            number, _, rest = name.partition("/")
            topic = self._restored.with_id(int(number))
            if topic is not None:
                topic.replay_setting(rest, value)
        else:
            self._restored.tenancy.restore(kind, name, value)

    def _topic(self, name: str, value: object) -> None:
        self._restored.restore_topic(name, value if isinstance(value, int) else None)

    def damage(self, path: Path, damage: Damage) -> None:
        """Tell what was lost; a head that is not whole names not all that there is, and nothing is forgotten by it."""
        self._head = None
        what = "settings or entries were lost"
        if damage.entry is not None:
            topic = self._restored.with_id(damage.entry[0])
            what = f"entry {damage.entry[1]} of {topic.name if topic else f'topic {damage.entry[0]}'} was lost"
        logger.error("%s: bytes %d to %d are damaged: %s; all else is there", path, damage.start, damage.end, what)
