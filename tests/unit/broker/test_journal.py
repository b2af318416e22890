import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from magnetar_broker.broker import Broker
from magnetar_broker.errors import StorageError
from magnetar_broker.settings import BrokerSettings
from magnetar_broker.store.journal import Journal
from magnetar_broker.topics.producers import Producer
from magnetar_broker.topics.topic import Topic
from magnetar_broker.wire.proto.pulsar_api import MessageMetadata

SMALL = BrokerSettings(segment_size=20_000, reclaim_interval=3600, cursor_interval=0.01)
TOPIC = "persistent://public/default/t"


def entry(number: int, size: int = 400) -> bytes:
    """Return a message as a producer sends it, without a checksum."""
    metadata = MessageMetadata(producer_name="p", sequence_id=number, publish_time=1_700_000_000_000 + number)
    encoded = metadata.SerializeToString()
    return len(encoded).to_bytes(4, "big") + encoded + b"%d" % number + b"." * size


class Told:
    """A publisher that keeps what it is told."""

    def __init__(self) -> None:
        self.receipts: list[int] = []
        self.refusals: list[StorageError] = []

    def receipted(self, number: int) -> None:
        self.receipts.append(number)

    def refused(self, error: StorageError) -> None:
        self.refusals.append(error)


async def publish(topic: Topic, numbers: range, size: int = 400) -> None:
    for number in numbers:
        topic.publish([entry(number, size)], [1], Told())
    await topic._journal.settled()


def there(topic: Topic) -> list[int]:
    return [number for number in range(topic.entries.first, topic.visible) if not topic.entries.gone(number)]


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.01)


async def test_everything_is_there_when_a_broker_opens_again(tmp_path: Path) -> None:
    """Topics, entries, cursors with holes, schemas' settings and namespaces come back from the journal."""
    async with Broker(tmp_path, SMALL) as broker:
        broker.tenancy.create_namespace("public/other", {"retention_policies": None})
        topic = broker.get_or_create(TOPIC)
        subscription = topic.subscribe("s", durable=True, start=0, properties={"a": "b"})
        await publish(topic, range(200))
        for number in [0, 1, 2, 7, 9]:
            subscription.acknowledge(number)
        subscription.acknowledge(5, [0b10])
    async with Broker(tmp_path, SMALL) as broker:
        topic = broker.get(TOPIC)
        subscription = topic.subscription("s")
        assert topic.visible == 200
        assert topic.message(199) == entry(199)
        assert subscription.backlog == 195
        assert subscription.properties == {"a": "b"}
        assert subscription.cursor.partial == {5: [0b10]}
        assert "public/other" in broker.tenancy.namespaces


async def test_what_everyone_acknowledged_leaves_the_disk(tmp_path: Path) -> None:
    """Segments without a wanted entry are deleted while the broker runs, for idle topics too."""
    async with Broker(tmp_path, SMALL) as broker:
        idle, busy = broker.get_or_create(TOPIC), broker.get_or_create(TOPIC + "2")
        one, two = (topic.subscribe("s", durable=True, start=0) for topic in (idle, busy))
        await publish(idle, range(100))
        one.acknowledge_through(99)
        await publish(busy, range(1000))
        two.acknowledge_through(999)
        await broker.reclaim()
        assert broker.journal.size < 2 * SMALL.segment_size
        assert idle.entries.first == 100
    async with Broker(tmp_path, SMALL) as broker:
        assert broker.get(TOPIC).subscription("s").backlog == 0
        assert broker.get(TOPIC).entries.end == 100


async def test_one_unacknowledged_entry_holds_no_segment_for_itself(tmp_path: Path) -> None:
    """Where little is wanted of much, it is moved to a fresh segment, and found there after a restart."""
    async with Broker(tmp_path, SMALL) as broker:
        topic = broker.get_or_create(TOPIC)
        subscription = topic.subscribe("s", durable=True, start=0)
        await publish(topic, range(1000))
        for number in range(1000):
            if number % 250 != 3:
                subscription.acknowledge(number)
        for _ in range(30):
            await broker.reclaim()
        assert broker.journal.size < 4 * SMALL.segment_size
        assert {3, 253, 503, 753} <= set(there(topic))
        assert subscription.backlog == 4
    async with Broker(tmp_path, SMALL) as broker:
        topic = broker.get(TOPIC)
        assert [topic.message(number) for number in (3, 253, 503, 753)] == [entry(n) for n in (3, 253, 503, 753)]
        assert topic.subscription("s").backlog == 4
        await publish(topic, range(1000, 1003))
        assert topic.message(1002) == entry(1002)


async def test_what_was_deleted_does_not_come_back_with_an_old_segment(tmp_path: Path) -> None:
    """A segment kept for another topic's sake still names a topic that a deleted segment said was gone."""
    async with Broker(tmp_path, SMALL) as broker:
        kept, doomed = broker.get_or_create(TOPIC), broker.get_or_create(TOPIC + "-doomed")
        kept.subscribe("stays", durable=True, start=0)
        kept.subscribe("goes", durable=True, start=0)
        doomed.subscribe("s", durable=True, start=0)
        busy = broker.get_or_create(TOPIC + "-busy")
        reader = busy.subscribe("s", durable=True, start=0)
        await publish(kept, range(50))
        await publish(busy, range(60))
        broker.delete(TOPIC + "-doomed", force=True)
        kept.unsubscribe("goes", force=True)
        await publish(busy, range(60, 300))
        reader.acknowledge_through(299)
        await broker.reclaim()
        assert len(broker.journal.sealed) <= 3
    async with Broker(tmp_path, SMALL) as broker:
        assert TOPIC + "-doomed" not in broker.topics
        assert list(broker.get(TOPIC).subscriptions) == ["stays"]
        assert broker.get(TOPIC).subscription("stays").backlog == 50


@pytest.mark.parametrize(("minutes", "megabytes"), [(-1, -1), (60, -1), (-1, 100)])
async def test_retention_keeps_what_is_acknowledged(tmp_path: Path, minutes: int, megabytes: int) -> None:
    """Within a namespace's limits acknowledged entries stay, for those who seek back."""
    async with Broker(tmp_path, SMALL) as broker:
        retention = {"retentionTimeInMinutes": minutes, "retentionSizeInMB": megabytes}
        broker.tenancy.change_policies("public/default", retention_policies=retention)
        topic = broker.get_or_create(TOPIC)
        subscription = topic.subscribe("s", durable=True, start=0)
        await publish(topic, range(300))
        subscription.acknowledge_through(299)
        await broker.reclaim()
        # These messages say that they are years old: only a limit of time lets them go.
        assert (topic.entries.first > 0) == (minutes == 60)


async def test_retention_by_size_lets_the_oldest_go(tmp_path: Path) -> None:
    """Beyond the size the oldest acknowledged entries are dropped."""
    async with Broker(tmp_path, SMALL) as broker:
        retention = {"retentionTimeInMinutes": -1, "retentionSizeInMB": 1}
        broker.tenancy.change_policies("public/default", retention_policies=retention)
        topic = broker.get_or_create(TOPIC)
        subscription = topic.subscribe("s", durable=True, start=0)
        await publish(topic, range(60), size=50_000)
        subscription.acknowledge_through(59)
        await broker.reclaim()
        assert topic.entries.size <= 1024 * 1024
        assert topic.entries.size > 900_000


async def test_old_messages_expire_where_the_namespace_says_so(tmp_path: Path) -> None:
    """Past its time to live a message counts as acknowledged."""
    async with Broker(tmp_path, SMALL) as broker:
        topic = broker.get_or_create(TOPIC)
        subscription = topic.subscribe("s", durable=True, start=0)
        await publish(topic, range(10))
        broker.tenancy.change_policies("public/default", message_ttl_in_seconds=60)
        await broker.reclaim()
        assert subscription.backlog == 0


async def test_compacted_entries_outlive_the_topic_itself(tmp_path: Path) -> None:
    """What compaction kept is read from a fresh segment after its first one was deleted, also after a restart."""

    def keyed(number: int) -> bytes:
        metadata = MessageMetadata(
            producer_name="p", sequence_id=number, publish_time=1, partition_key=f"k{number % 5}"
        )
        encoded = metadata.SerializeToString()
        return len(encoded).to_bytes(4, "big") + encoded + b"%d" % number + b"." * 500

    async with Broker(tmp_path, SMALL) as broker:
        topic = broker.get_or_create(TOPIC)
        subscription = topic.subscribe("s", durable=True, start=0)
        for number in range(300):
            topic.publish([keyed(number)], [1], Told())
        await broker.journal.settled()
        topic.compact()
        subscription.acknowledge_through(299)
        other = broker.get_or_create(TOPIC + "-other")
        reader = other.subscribe("s", durable=True, start=0)
        await publish(other, range(300))
        reader.acknowledge_through(299)
        for _ in range(20):
            await broker.reclaim()
        assert broker.journal.size < 3 * SMALL.segment_size
        assert topic.entries.first == 300
        assert [topic._read(number) for number in topic.compacted.kept] == [keyed(n) for n in range(295, 300)]
    async with Broker(tmp_path, SMALL) as broker:
        topic = broker.get(TOPIC)
        assert topic.compacted.kept == list(range(295, 300))
        assert [topic._read(number) for number in topic.compacted.kept] == [keyed(n) for n in range(295, 300)]


async def test_a_full_disk_loses_nothing_that_was_receipted_and_heals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While writes fail publishing is refused by name; when they work again the broker goes on, settings included."""
    async with Broker(tmp_path, SMALL) as broker:
        topic = broker.get_or_create(TOPIC)
        subscription = topic.subscribe("s", durable=True, start=0)
        await publish(topic, range(10))
        real = os.write
        full = True

        def write(descriptor: int, data: bytes) -> int:
            if full:
                # A full disk takes a part before it refuses.
                real(descriptor, data[: len(data) // 2])
                raise OSError(28, "No space left on device")
            return real(descriptor, data)

        def write_chunks(descriptor: int, chunks: Sequence[bytes]) -> int:
            return write(descriptor, b"".join(chunks))

        monkeypatch.setattr(os, "write", write)
        monkeypatch.setattr(os, "writev", write_chunks)
        told = Told()
        topic.publish([entry(10)], [1], told)
        await until(lambda: told.refusals)
        assert "No space left on device" in str(told.refusals[0])
        assert topic.entries.end == 10
        with pytest.raises(StorageError):
            topic.publish([entry(10)], [1], told)
        subscription.acknowledge_through(3)
        broker.get_or_create(TOPIC + "-made-meanwhile")
        full = False
        await until(lambda: broker.journal.failure is None)
        await publish(topic, range(10, 20))
        assert told.receipts == []
    async with Broker(tmp_path, SMALL) as broker:
        topic = broker.get(TOPIC)
        assert [topic.message(number) for number in range(20)] == [entry(number) for number in range(20)]
        assert topic.subscription("s").backlog == 16
        assert TOPIC + "-made-meanwhile" in broker.topics


def segments(directory: Path, name: str = "journal") -> Iterator[Path]:
    yield from sorted((directory / name).glob("journal-*.log"))


async def test_a_damaged_entry_is_skipped_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One flipped bit costs one entry of one topic; the broker starts and says which."""
    async with Broker(tmp_path, SMALL) as broker:
        one, two = broker.get_or_create(TOPIC), broker.get_or_create(TOPIC + "2")
        one.subscribe("s", durable=True, start=0)
        await publish(one, range(5))
        await publish(two, range(5))
    path = next(segments(tmp_path))
    data = bytearray(path.read_bytes())
    data[data.index(entry(2)) + 60] ^= 4
    path.write_bytes(data)
    async with Broker(tmp_path, SMALL) as broker:
        assert f"entry 2 of {TOPIC} was lost" in caplog.text
        assert str(path) in caplog.text
        assert there(broker.get(TOPIC)) == [0, 1, 3, 4]
        assert there(broker.get(TOPIC + "2")) == [0, 1, 2, 3, 4]
        subscription = broker.get(TOPIC).subscription("s")
        assert subscription.next_from(2, compacted=False) == 3


async def test_damage_that_comes_while_the_broker_runs_is_skipped_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is read back is checked: a damaged entry counts as acknowledged, and is told."""
    async with Broker(tmp_path, SMALL) as broker:
        topic = broker.get_or_create(TOPIC)
        subscription = topic.subscribe("s", durable=True, start=0)
        await publish(topic, range(5))
        broker._cache._kept.clear()
        path = next(segments(tmp_path))
        data = path.read_bytes()
        with path.open("r+b") as file:
            file.seek(data.index(entry(2)) + 60)
            file.write(b"\xff")
        assert subscription.data(1) == entry(1)
        assert subscription.data(2) is None
        assert subscription.done(2)
        assert "is damaged" in caplog.text


async def test_a_torn_tail_is_cut_and_the_rest_is_there(tmp_path: Path) -> None:
    """An entry that was half written when the power went was never receipted."""
    async with Broker(tmp_path, SMALL) as broker:
        await publish(broker.get_or_create(TOPIC), range(5))
    path = list(segments(tmp_path))[-1]
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 7)
    async with Broker(tmp_path, SMALL) as broker:
        topic = broker.get(TOPIC)
        assert there(topic) == [0, 1, 2, 3]
        await publish(topic, range(4, 6))
    async with Broker(tmp_path, SMALL) as broker:
        assert [broker.get(TOPIC).message(number) for number in range(6)] == [entry(number) for number in range(6)]


async def test_a_waiter_hears_when_all_before_it_is_durable(tmp_path: Path) -> None:
    """A barrier ends after what was appended before, at once where nothing is on its way."""
    journal = Journal(tmp_path, lambda: iter(()), lambda: None)
    journal.replay(_Nothing())
    await journal.settled()
    journal.set("a", 1)
    await journal.settled()
    written = list(segments(tmp_path.parent, tmp_path.name))
    await journal.close()
    assert written[0].read_bytes().endswith(b'["a",1]')


async def test_a_waiter_that_comes_during_a_sync_hears_of_its_end(tmp_path: Path) -> None:
    """Nothing need be appended after it: the sync that is under way is the one it waits for."""
    journal = Journal(tmp_path, lambda: iter(()), lambda: None)
    journal.replay(_Nothing())
    async with asyncio.timeout(20):
        for number in range(5):
            journal.set("a", number)
            await asyncio.sleep(0)  # the sync has begun and taken its waiters
            await journal.settled()
    await journal.close()


class _Nothing:
    """Takes nothing in."""

    def head(self, *_: object) -> None: ...

    def run(self, *_: object) -> None: ...

    def setting(self, *_: object) -> None: ...

    def damage(self, *_: object) -> None: ...


@pytest.mark.parametrize("policy", ["producer_request_hold", "consumer_backlog_eviction"])
async def test_a_backlog_beyond_its_quota_closes_producers_or_lets_consumers_skip(tmp_path: Path, policy: str) -> None:
    """As the namespace says: who sends is held, or who is slow loses the oldest."""
    closed: list[int] = []

    class Link:
        address = "here"

        def close_producer(self, producer_id: int) -> None:
            closed.append(producer_id)

    async with Broker(tmp_path, SMALL) as broker:
        quota = {"destination_storage": {"limitSize": 5000, "policy": policy}}
        broker.tenancy.change_policies("public/default", backlog_quota_map=quota)
        topic = broker.get_or_create(TOPIC)
        subscription = topic.subscribe("s", durable=True, start=0)
        topic.producers.add(Producer(7, "p", Link()))
        await publish(topic, range(10))
        await broker.reclaim()
        assert closed == []
        await publish(topic, range(10, 30))
        await broker.reclaim()
        if policy == "producer_request_hold":
            assert closed == [7]
            assert subscription.backlog == 30
        else:
            assert closed == []
            assert 5 < subscription.backlog < 15


async def test_the_gap_that_deleted_segments_leave_is_forgotten(tmp_path: Path) -> None:
    """A topic whose entries are all gone opens as an empty one, and numbers go on."""
    async with Broker(tmp_path, SMALL) as broker:
        topic, other = broker.get_or_create(TOPIC), broker.get_or_create(TOPIC + "2")
        one, two = (each.subscribe("s", durable=True, start=0) for each in (topic, other))
        await publish(topic, range(1000))
        one.acknowledge_through(999)
        await publish(other, range(100))
        two.acknowledge_through(99)
        await broker.reclaim()
    async with Broker(tmp_path, SMALL) as broker:
        topic = broker.get(TOPIC)
        assert (topic.entries.first, topic.entries.end, topic.last()) == (1000, 1000, -1)


@pytest.mark.parametrize("count", [1, 3, 700])
async def test_chunks_are_written_whole_however_much_the_system_takes_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Few large entries are handed over as they are, many small ones joined; a write that stops half way is gone on with."""
    real, halves = os.write, 0

    def write(descriptor: int, data: bytes | memoryview) -> int:
        nonlocal halves
        halves += 1
        return real(descriptor, data[: -(-len(data) // 2)])

    def write_chunks(descriptor: int, chunks: Sequence[bytes]) -> int:
        return write(descriptor, b"".join(chunks))

    monkeypatch.setattr(os, "write", write)
    monkeypatch.setattr(os, "writev", write_chunks)
    async with Broker(tmp_path) as broker:
        topic = broker.get_or_create(TOPIC)
        told = Told()
        topic.publish([entry(number) for number in range(count)], [1] * count, told)
        await until(lambda: told.receipts)
    assert halves > 1
    async with Broker(tmp_path) as broker:
        topic = broker.get(TOPIC)
        assert [topic.message(number) for number in range(count)] == [entry(number) for number in range(count)]


async def test_what_left_the_memory_is_read_from_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many segments the system is told to keep the newest two in memory, and entries of all of them are read."""
    left: set[int] = set()
    monkeypatch.setattr(os, "posix_fadvise", lambda descriptor, *_: left.add(os.fstat(descriptor).st_ino))
    async with Broker(tmp_path, SMALL) as broker:
        topic = broker.get_or_create(TOPIC)
        topic.subscribe("s", durable=True, start=0)
        for start in range(0, 400, 20):
            await publish(topic, range(start, start + 20))
        written = [path.stat().st_ino for path in segments(tmp_path)]
        assert len(written) > 3
        assert left >= set(written[:-2])
        assert left.isdisjoint(written[-2:])
        assert [topic.message(number) for number in range(400)] == [entry(number) for number in range(400)]
