"""The broker: its topics and settings over one journal, whoever asks for them."""

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Protocol, Self

from magnetar_broker.errors import BusyError, ExistsError, InvalidError, NotFoundError, StartError, StorageError
from magnetar_broker.names import TopicName, parse_topic, partition_name
from magnetar_broker.packages import Packages
from magnetar_broker.policies import TopicPolicies, topic_policies
from magnetar_broker.reclaim import Reclaimer
from magnetar_broker.replay import Replay
from magnetar_broker.settings import BrokerSettings
from magnetar_broker.store.journal import Journal
from magnetar_broker.tenancy import FOREVER, Tenancy
from magnetar_broker.topics.entries import Cache
from magnetar_broker.topics.topic import Topic
from magnetar_broker.topics.transient import TransientTopic


class TopicsChanged(Protocol):
    """Hears of topics that come and go."""

    def __call__(self, name: str, namespace: str, *, there: bool) -> None:
        """Take note of a topic."""


class Broker:
    """All that one data directory holds. An async context manager: opened, it has replayed the journal."""

    def __init__(self, data_dir: Path, settings: BrokerSettings | None = None) -> None:
        self.data_dir = data_dir
        self.settings = settings or BrokerSettings()
        self.topics: dict[str, Topic] = {}
        self.tenancy = Tenancy(self._save_tenancy, self._policies_changed)
        self.packages = Packages(data_dir / "packages")
        self.journal = Journal(data_dir / "journal", self._all_settings, self._roll_back, self.settings.segment_size)
        self.topics_changed: TopicsChanged = _tell_nobody
        self.rights_changed: Callable[[], None] = _judge_nobody
        self._by_id: dict[int, Topic] = {}
        self._next_id = 1
        self._policies: dict[str, TopicPolicies] = {}
        self._cache = Cache()
        self._replaying = True
        self._dirty: set[Topic] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._reclaiming: asyncio.Task[None] | None = None
        self._lock = -1

    async def __aenter__(self) -> Self:
        self._take_directory()
        try:
            self.packages.clean()
            self.journal.replay(Replay(self))
        except OSError as error:
            raise StartError(f"{self.data_dir}: {error.strerror}; give a directory that can be written") from error
        self._replaying = False
        for topic in self.topics.values():
            topic.entries.settle()
        self._found()
        self._reclaiming = asyncio.get_running_loop().create_task(self._reclaim(), name="reclaim disk space")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reclaiming is not None:
            self._reclaiming.cancel()
            with suppress(asyncio.CancelledError):
                await self._reclaiming
        if self._timer is not None:
            self._timer.cancel()
        for topic in self.topics.values():
            topic.close()
        self._write_cursors()
        await self.journal.close()
        os.close(self._lock)

    def _take_directory(self) -> None:
        """Own the data directory: two brokers on one journal would destroy it."""
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.data_dir / "broker.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StartError(f"{self.data_dir}: {error.strerror}; give a directory that can be written") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._lock, 32).decode(errors="replace").strip()
            os.close(self._lock)
            raise StartError(
                f"{self.data_dir} is owned by another running broker (pid {owner}); end it or give another --data-dir"
            ) from None
        with suppress(OSError):
            # The pid is for people; a full disk is no reason not to start.
            os.ftruncate(self._lock, 0)
            os.write(self._lock, f"{os.getpid()}\n".encode())

    def _found(self) -> None:
        """Create what every Pulsar has."""
        if "public" not in self.tenancy.tenants:
            self.tenancy.create_tenant("public", {})
        for namespace, policies in (("public/default", {}), ("public/functions", {"retention_policies": FOREVER})):
            if namespace not in self.tenancy.namespaces:
                self.tenancy.create_namespace(namespace, dict(policies))

    async def reclaim(self) -> None:
        """Drop what nobody wants any more. Raises StorageError."""
        await Reclaimer(self.journal, self.topics.values).run()

    async def _reclaim(self) -> None:
        while True:
            await asyncio.sleep(self.settings.reclaim_interval)
            for topic in self.topics.values():
                topic.sample(self.settings.reclaim_interval)
            with suppress(StorageError):
                # A disk that is full is told of where something was to be written; here there is nothing to lose.
                await self.reclaim()

    # The journal.

    def restore_topic(self, name: str, topic_id: int | None) -> None:
        """Take in that a topic exists, or no longer does."""
        if topic_id is not None:
            self._next_id = max(self._next_id, topic_id + 1)
            if name not in self.topics:
                self._add(parse_topic(name), topic_id)
        elif (topic := self.topics.pop(name, None)) is not None:
            topic.discard()
            del self._by_id[topic.id]

    def with_id(self, topic_id: int) -> Topic | None:
        """Return the topic with an id."""
        return self._by_id.get(topic_id)

    def forget_except(self, keys: set[str]) -> None:
        """Forget topics and subscriptions that have no setting among some keys: a segment's head names all there is."""
        for name, topic in list(self.topics.items()):
            if f"topic/{name}" not in keys:
                self.restore_topic(name, None)
            for subscription in list(topic.subscriptions):
                if f"t/{topic.id}/cursor/{subscription}" not in keys:
                    del topic.subscriptions[subscription]

    def _all_settings(self) -> Iterator[tuple[str, object]]:
        """Yield all settings, for the head of a new segment."""
        yield from self.tenancy.settings()
        for topic in self.topics.values():
            if topic.name.persistent:
                yield f"topic/{topic.name}", topic.id
                for key, value in topic.settings():
                    yield f"t/{topic.id}/{key}", value

    def _roll_back(self) -> None:
        for topic in self.topics.values():
            topic.roll_back()

    def _save(self, key: str, value: object) -> None:
        if not self._replaying:
            self.journal.set(key, value)

    def _save_tenancy(self, key: str, value: object) -> None:
        self._save(key, value)
        self.rights_changed()

    def _save_of(self, topic_id: int, key: str, value: object) -> None:
        self._save(f"t/{topic_id}/{key}", value)

    def _mark_dirty(self, topic: Topic) -> None:
        self._dirty.add(topic)
        if self._timer is None and not self._replaying:
            self._timer = asyncio.get_running_loop().call_later(self.settings.cursor_interval, self._write_cursors)

    def _write_cursors(self) -> None:
        self._timer = None
        dirty, self._dirty = self._dirty, set()
        for topic in dirty:
            if topic.id in self._by_id:
                topic.write_cursors()

    # Topics.

    def _add(self, name: TopicName, topic_id: int) -> Topic:
        topic = (Topic if name.persistent else TransientTopic)(
            name,
            topic_id,
            self.journal,
            self._cache,
            policies=self.policies_of(name.namespace),
            save=partial(self._save_of, topic_id) if name.persistent else _save_nothing,
            dirty=self._mark_dirty,
        )
        self.topics[str(name)] = topic
        self._by_id[topic_id] = topic
        return topic

    def policies_of(self, namespace: str) -> TopicPolicies:
        """Return what a namespace's policies mean for its topics."""
        known = self._policies.get(namespace)
        if known is None:
            stored = self.tenancy.namespaces.get(namespace, {})
            known = self._policies[namespace] = topic_policies(stored, self.settings.backlog_quota)
        return known

    def _policies_changed(self, namespace: str, policies: dict[str, object]) -> None:
        """Let a namespace's topics follow its policies. Raises InvalidError for what makes no sense."""
        meaning = self._policies[namespace] = topic_policies(policies, self.settings.backlog_quota)
        for topic in self.topics.values():
            if topic.name.namespace == namespace:
                topic.set_policies(meaning)

    def get(self, text: str) -> Topic:
        """Return a topic that exists. Raises NotFoundError."""
        name = str(parse_topic(text))
        if name not in self.topics:
            raise NotFoundError(f"Topic {name} not found")
        return self.topics[name]

    def get_or_create(self, text: str) -> Topic:
        """Return a topic, created where there is none. Raises NotFoundError without its namespace."""
        name = parse_topic(text)
        known = self.topics.get(str(name))
        if known is not None:
            return known
        self.tenancy.policies(name.namespace)
        if str(name) in self.tenancy.partitions:
            raise InvalidError(f"{name} is partitioned: name one of its partitions")
        topic = self._add(name, self._next_id)
        self._next_id += 1
        if name.persistent:
            self._save(f"topic/{name}", topic.id)
        self.topics_changed(str(name), name.namespace, there=True)
        return topic

    def create(self, text: str) -> Topic:
        """Create a topic. Raises ExistsError."""
        name = str(parse_topic(text))
        if name in self.topics or name in self.tenancy.partitions:
            raise ExistsError("This topic already exists")
        return self.get_or_create(name)

    def create_partitioned(self, text: str, count: int) -> None:
        """Create a partitioned topic and its partitions. Raises ExistsError."""
        name = parse_topic(text)
        if count <= 0:
            raise InvalidError(f"a topic of {count} partitions can't be; give 1 or more")
        if str(name) in self.tenancy.partitions or str(name) in self.topics:
            raise ExistsError("This topic already exists")
        self.tenancy.policies(name.namespace)
        self._set_partitions(str(name), count)

    def grow_partitioned(self, text: str, count: int) -> None:
        """Give a partitioned topic more partitions. Raises NotFoundError, InvalidError."""
        name, before = str(parse_topic(text)), self.partitions(text)
        if not before:
            raise NotFoundError(f"Partitioned Topic not found: {name} has zero partitions")
        if count < before:
            raise InvalidError(f"Expect partitions {count} can't less than current partitions {before}.")
        subscriptions = {
            each for number in range(before) for each in self.get_or_create(partition_name(name, number)).subscriptions
        }
        self._set_partitions(name, count)
        for number in range(before, count):
            for subscription in subscriptions:
                self.get_or_create(partition_name(name, number)).subscribe(subscription, durable=True, start=0)

    def _set_partitions(self, name: str, count: int) -> None:
        self.tenancy.set_partitions(name, count)
        for number in range(count):
            self.get_or_create(partition_name(name, number))

    def partitions(self, text: str) -> int:
        """Return how many partitions a topic has, 0 when it is not partitioned."""
        return self.tenancy.partitions.get(str(parse_topic(text)), 0)

    def partitions_or_itself(self, text: str) -> list[Topic]:
        """Return the partitions of a topic, or the topic alone. Raises NotFoundError."""
        count = self.partitions(text)
        name = str(parse_topic(text))
        return [self.get(partition_name(name, number)) for number in range(count)] if count else [self.get(name)]

    def delete(self, text: str, *, force: bool) -> None:
        """Delete a topic with all that is in it. Raises BusyError while it is used, unless it is forced."""
        topic = self.get(text)
        if not force:
            if topic.producers.all:
                raise BusyError("Topic has active producers/subscriptions")
            for subscription in topic.subscriptions.values():
                subscription.demand_unused()
            if topic.subscriptions:
                raise BusyError("Topic has active producers/subscriptions")
        topic.discard()
        del self.topics[str(topic.name)]
        del self._by_id[topic.id]
        if topic.name.persistent:
            self._save(f"topic/{topic.name}", None)
        self.topics_changed(str(topic.name), topic.name.namespace, there=False)

    def delete_partitioned(self, text: str, *, force: bool) -> None:
        """Delete a partitioned topic and its partitions."""
        name = str(parse_topic(text))
        count = self.partitions(name)
        if not count:
            raise NotFoundError(f"Partitioned Topic not found: {name} has zero partitions")
        for number in range(count):
            with suppress(NotFoundError):
                self.delete(partition_name(name, number), force=force)
        self.tenancy.set_partitions(name, None)

    def delete_namespace(self, name: str, *, force: bool) -> None:
        """Delete a namespace. Raises BusyError while it has topics, unless it is forced."""
        topics = self.topics_of(name)
        partitioned = [base for base in self.tenancy.partitions if parse_topic(base).namespace == name]
        if (topics or partitioned) and not force:
            raise BusyError("Cannot delete non empty namespace")
        for topic in topics:
            self.delete(str(topic.name), force=True)
        for base in partitioned:
            self.tenancy.set_partitions(base, None)
        self.tenancy.delete_namespace(name)
        self._policies.pop(name, None)

    def topics_of(self, namespace: str) -> list[Topic]:
        """Return a namespace's topics by name, each partition by itself. Raises NotFoundError."""
        self.tenancy.policies(namespace)
        return [topic for _, topic in sorted(self.topics.items()) if topic.name.namespace == namespace]


def _tell_nobody(name: str, namespace: str, *, there: bool) -> None:
    """Watchers come with the server of the binary protocol."""


def _judge_nobody() -> None:
    """Clients come with the server of the binary protocol."""


def _save_nothing(key: str, value: object) -> None:
    """Keep nothing of a non-persistent topic."""
