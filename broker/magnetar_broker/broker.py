"""The broker: its topics and settings over one journal, whoever asks for them."""

import asyncio
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

from magnetar_broker.errors import BusyError, ExistsError, InvalidError, NotFoundError, StartError
from magnetar_broker.names import TopicName, parse_topic, partition_name
from magnetar_broker.packages import Packages
from magnetar_broker.store.journal import ENTRY, Journal, Record
from magnetar_broker.tenancy import FOREVER, Tenancy
from magnetar_broker.topics.cursor import Cursor
from magnetar_broker.topics.entries import Cache, Place
from magnetar_broker.topics.schemas import Schemas, StoredSchema
from magnetar_broker.topics.topic import Compaction, Topic

_CURSOR_INTERVAL = 0.1


class Broker:
    """All that one data directory holds. An async context manager: opened, it has replayed the journal."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.topics: dict[str, Topic] = {}
        self.tenancy = Tenancy(self._save)
        self.packages = Packages(data_dir / "packages")
        self._by_id: dict[int, Topic] = {}
        self._next_id = 1
        self._journal = Journal(data_dir / "journal", self._settings)
        self._cache = Cache()
        self._replaying = True
        self._dirty: set[Topic] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._segments = 0
        self._lock = -1

    async def __aenter__(self) -> Self:
        self._take_directory()
        try:
            for record in self._journal.replay():
                self._replay(record)
        except OSError as error:
            raise StartError(f"{self.data_dir}: {error.strerror}; give a directory that can be written") from error
        self._replaying = False
        self._segments = len(self._journal.segments)
        self._found()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for topic in self.topics.values():
            topic.close()
        if self._journal.failure is None:
            self._write_cursors()
        await self._journal.close()
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
        os.ftruncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode())

    def _found(self) -> None:
        """Create what every Pulsar has."""
        if "public" not in self.tenancy.tenants:
            self.tenancy.create_tenant("public", {})
        for namespace, policies in (("public/default", {}), ("public/functions", {"retention_policies": FOREVER})):
            if namespace not in self.tenancy.namespaces:
                self.tenancy.create_namespace(namespace, dict(policies))

    # The journal.

    def _replay(self, record: Record) -> None:
        if record.kind == ENTRY:
            topic = self._by_id.get(record.topic_id)
            if topic is not None:
                place = Place(record.segment, record.position, len(record.body))
                topic.replayed(record.entry_id, place, record.count)
            return
        key, value = _json(record.body)
        kind, _, name = key.partition("/")
        if kind == "topic":
            self._replay_topic(name, value)
        elif kind == "t":
            self._replay_topic_setting(name, value)
        else:
            self.tenancy.restore(kind, name, value)

    def _replay_topic(self, name: str, value: object) -> None:
        if isinstance(value, int):
            self._next_id = max(self._next_id, value + 1)
            if name not in self.topics:
                self._add(parse_topic(name), value)
        elif (topic := self.topics.pop(name, None)) is not None:
            del self._by_id[topic.id]

    def _replay_topic_setting(self, name: str, value: object) -> None:
        number, _, key = name.partition("/")
        topic = self._by_id.get(int(number))
        if topic is None:
            return
        kind, _, rest = key.partition("/")
        if kind == "cursor":
            topic.subscriptions.pop(rest, None)
            if isinstance(value, dict):
                topic.restore_subscription(rest, Cursor.from_json(value))
        elif kind == "schemas" and isinstance(value, list):
            topic.schemas = Schemas([StoredSchema.from_json(each) for each in value])
        elif kind == "compaction" and isinstance(value, dict):
            topic.compaction = Compaction(value["horizon"], value["kept"])
        elif kind == "epoch" and isinstance(value, int):
            topic.producers.epoch = value
        elif kind == "first" and isinstance(value, int):
            topic.entries.restart_at(value)
            topic.visible = max(topic.visible, topic.entries.end)

    def _settings(self) -> Iterator[tuple[str, object]]:
        """Yield all settings, for the head of a new segment; drop what nobody needs any more."""
        yield from self.tenancy.settings()
        for topic in self.topics.values():
            yield f"topic/{topic.name}", topic.id
            yield from self._topic_settings(topic)
        asyncio.get_running_loop().call_soon(self._trim)

    def _topic_settings(self, topic: Topic) -> Iterator[tuple[str, object]]:
        prefix = f"t/{topic.id}"
        yield f"{prefix}/first", topic.entries.end if topic.entries.first == topic.entries.end else topic.entries.first
        for subscription in topic.subscriptions.values():
            if subscription.durable:
                yield f"{prefix}/cursor/{subscription.name}", subscription.cursor.to_json()
        if topic.schemas.versions:
            yield f"{prefix}/schemas", [schema.to_json() for schema in topic.schemas.versions]
        if topic.compaction.horizon:
            yield f"{prefix}/compaction", {"horizon": topic.compaction.horizon, "kept": topic.compaction.kept}
        if topic.producers.epoch is not None:
            yield f"{prefix}/epoch", topic.producers.epoch

    def _trim(self) -> None:
        """Forget acknowledged entries and delete the segments that hold nothing else."""
        for topic in self.topics.values():
            if not topic.compaction.horizon and not self.tenancy.retains_forever(topic.name.namespace):
                topic.drop_acknowledged()
        oldest = [topic.entries.oldest_segment for topic in self.topics.values()]
        self._journal.drop_before(min((each for each in oldest if each is not None), default=1 << 40))

    def _save(self, key: str, value: object) -> None:
        if not self._replaying:
            self._journal.set(key, value)

    def _save_of(self, topic_id: int, key: str, value: object) -> None:
        if key == "dirty":
            self._dirty.add(self._by_id[topic_id])
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(_CURSOR_INTERVAL, self._write_cursors)
        else:
            self._save(f"t/{topic_id}/{key}", value)

    def _write_cursors(self) -> None:
        self._timer = None
        dirty, self._dirty = self._dirty, set()
        for topic in dirty:
            if topic.id in self._by_id:
                topic.write_cursors()

    # Topics.

    def _add(self, name: TopicName, topic_id: int) -> Topic:
        topic = Topic(name, topic_id, self._journal, self._cache, partial(self._save_of, topic_id))
        self.topics[str(name)] = topic
        self._by_id[topic_id] = topic
        return topic

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
        self._save(f"topic/{name}", topic.id)
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
        self.tenancy.set_partitions(str(name), count)
        for number in range(count):
            self.get_or_create(partition_name(str(name), number))

    def partitions(self, text: str) -> int:
        """Return how many partitions a topic has, 0 when it is not partitioned."""
        return self.tenancy.partitions.get(str(parse_topic(text)), 0)

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
        topic.close()
        del self.topics[str(topic.name)]
        del self._by_id[topic.id]
        self._save(f"topic/{topic.name}", None)

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

    def topics_of(self, namespace: str) -> list[str]:
        """Return the full names of a namespace's topics, each partition by itself. Raises NotFoundError."""
        self.tenancy.policies(namespace)
        return sorted(name for name, topic in self.topics.items() if topic.name.namespace == namespace)

    def save_schemas(self, topic: Topic) -> None:
        """Keep a topic's schemas."""
        self._save_of(topic.id, "schemas", [schema.to_json() for schema in topic.schemas.versions])


def _json(body: bytes) -> tuple[str, object]:
    key, value = json.loads(body)
    return str(key), value
