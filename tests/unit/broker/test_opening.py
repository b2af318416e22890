import random
import shutil
from pathlib import Path

import pytest
from broker_wire import entry, publish
from magnetar_broker.broker import Broker
from magnetar_broker.settings import BrokerSettings
from magnetar_broker.store.scan import read_head
from magnetar_broker.topics.topic import Topic

SMALL = BrokerSettings(segment_size=20_000, reclaim_interval=3600, cursor_interval=0.01)
TOPIC = "persistent://public/default/t"


def deliverable(topic: Topic) -> dict[str, list[tuple[int, bytes | None]]]:
    """Return what each subscription has yet to deliver."""
    found: dict[str, list[tuple[int, bytes | None]]] = {}
    for name, subscription in sorted(topic.subscriptions.items()):
        entries, position = found.setdefault(name, []), subscription.next_from(0, compacted=True)
        while position is not None:
            entries.append((position, subscription.data(position)))
            position = subscription.next_from(position + 1, compacted=True)
    return found


def state(broker: Broker) -> dict[str, object]:
    """Return all that a client could notice of a broker's topics."""
    return {
        name: (
            topic.id,
            topic.visible,
            deliverable(topic),
            {each.name: (each.backlog, each.cursor.to_json()) for each in topic.subscriptions.values()},
            (topic.compacted.horizon, topic.compacted.kept),
        )
        for name, topic in sorted(broker.topics.items())
    }


async def live(broker: Broker, chance: random.Random) -> None:
    """Let topics come and go, grow, be read, compacted and trimmed."""
    for step in range(60):
        topic = broker.get_or_create(f"{TOPIC}-{chance.randrange(4)}")
        if not topic.subscriptions:
            topic.subscribe("s", durable=True, start=topic.visible)
        await publish(topic, topic.visible, chance.randrange(60), keys=5)
        subscription = topic.subscription("s")
        match step % 6:
            case 0 | 1:
                subscription.acknowledge_through(topic.visible - 1)
            case 2:
                for number in range(subscription.mark, topic.visible, 3):
                    subscription.acknowledge(number)
            case 3:
                topic.compact()
            case 4 if chance.random() < 0.3:
                broker.delete(str(topic.name), force=True)
            case _:
                await broker.reclaim()


@pytest.mark.parametrize("seed", range(4))
async def test_a_broker_opens_with_indexes_as_it_does_without(tmp_path: Path, seed: int) -> None:
    """After whatever happened to its topics, it has what the one that was closed had."""
    async with Broker(tmp_path / "one", SMALL) as broker:
        await live(broker, random.Random(seed))
        before = state(broker)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    indexes = list((tmp_path / "two" / "journal").glob("*.index"))
    assert indexes
    for index in indexes:
        index.unlink()
    async with Broker(tmp_path / "two", SMALL) as without:
        assert state(without) == before
    assert {each.name for each in (tmp_path / "two" / "journal").glob("*.index")} >= {each.name for each in indexes}
    async with Broker(tmp_path / "one", SMALL) as with_indexes:
        assert state(with_indexes) == before


async def test_a_segment_with_an_index_is_not_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Opening takes no longer for what is in older segments; what they have lost is told when it is to be read."""
    async with Broker(tmp_path, SMALL) as broker:
        topic = broker.get_or_create(TOPIC)
        topic.subscribe("s", durable=True, start=0)
        await publish(topic, 0, 200)
    segments = sorted((tmp_path / "journal").glob("*.log"))
    assert len(segments) > 3
    assert [each.stem for each in sorted((tmp_path / "journal").glob("*.index"))] == [
        each.stem for each in segments[:-1]
    ]
    segments[1].write_bytes(bytes(segments[1].stat().st_size))
    async with Broker(tmp_path, SMALL) as broker:
        subscription = broker.get(TOPIC).subscription("s")
        assert subscription.backlog == 200
        assert not caplog.records
        lost = [number for number in range(200) if subscription.data(number) != entry(number)]
        assert 20 < len(lost) < 60
        assert subscription.backlog == 200 - len(lost)
        assert len(caplog.records) == len(lost)


async def test_damage_in_the_newest_head_costs_no_topic(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A head that is not whole does not say what there is: an older one does."""
    async with Broker(tmp_path, SMALL) as broker:
        for number in range(3):
            broker.get_or_create(f"{TOPIC}{number}").subscribe("s", durable=True, start=0)
            await publish(broker.get(f"{TOPIC}{number}"), 0, 100)
        before = state(broker)
    newest = max((tmp_path / "journal").glob("*.log"))
    data = bytearray(newest.read_bytes())
    assert read_head(bytes(data)) is not None
    data[data.index(b"topic/" + TOPIC.encode() + b"1") + 3] ^= 1
    newest.write_bytes(data)
    assert read_head(bytes(data)) is None
    async with Broker(tmp_path, SMALL) as broker:
        assert "settings or entries were lost" in caplog.text
        assert state(broker) == before


async def test_an_index_without_its_segment_is_removed(tmp_path: Path) -> None:
    """Another segment may get its number."""
    async with Broker(tmp_path, SMALL) as broker:
        await publish(broker.get_or_create(TOPIC), 0, 60)
    lone = tmp_path / "journal" / "journal-00000099.index"
    lone.write_bytes(min((tmp_path / "journal").glob("*.index")).read_bytes())
    async with Broker(tmp_path, SMALL) as broker:
        assert not lone.exists()
        assert broker.get(TOPIC).visible == 60
