from pathlib import Path

import pytest
from broker_wire import connected, opened, settle, subscribe
from magnetar_broker.connection.service import PulsarService
from magnetar_broker.connection.watching import compile_pattern, topics_hash
from magnetar_broker.wire.frames import command_frame
from magnetar_broker.wire.proto.pulsar_api import BaseCommand

PREFIX = "persistent://public/default/"


def watch(pattern: str, watcher: int = 5) -> bytes:
    command = BaseCommand(type=BaseCommand.WATCH_TOPIC_LIST)
    body = command.watchTopicList
    body.request_id, body.watcher_id, body.namespace, body.topics_pattern = 1, watcher, "public/default", pattern
    return command_frame(command)


async def test_a_watcher_hears_of_topics_that_come_and_go(tmp_path: Path) -> None:
    """Only of those that match, together where they come together, and no more after it has closed."""
    async with opened(tmp_path) as broker:
        service = PulsarService(broker)
        peer, wire = connected(service)
        broker.get_or_create("a1")
        peer.data_received(watch(PREFIX + "a.*"))
        await settle(broker)
        [found] = [each.watchTopicListSuccess for each in wire.commands() if each.HasField("watchTopicListSuccess")]
        assert list(found.topic) == [PREFIX + "a1"]
        other, far = connected(service)
        other.data_received(subscribe("a2", consumer=1) + subscribe("b1", consumer=2) + subscribe("a3", consumer=3))
        broker.delete("a1", force=True)
        await settle(broker)
        [told] = [each.watchTopicUpdate for each in wire.commands() if each.HasField("watchTopicUpdate")]
        assert list(told.new_topics) == [PREFIX + "a2", PREFIX + "a3"]
        assert list(told.deleted_topics) == [PREFIX + "a1"]
        assert told.topics_hash == topics_hash([PREFIX + "a3", PREFIX + "a2"])
        close = BaseCommand(type=BaseCommand.WATCH_TOPIC_LIST_CLOSE)
        close.watchTopicListClose.request_id, close.watchTopicListClose.watcher_id = 2, 5
        peer.data_received(command_frame(close))
        broker.get_or_create("a4")
        await settle(broker)
        assert [each.type for each in wire.commands()] == [BaseCommand.SUCCESS]
        wire.close()
        far.close()


@pytest.mark.parametrize(
    "pattern",
    [
        PREFIX + "a.*",
        "public/default/a.*",
        r"\Qpersistent://public/default/\Ea.*",
        r"persistent://public/default/\Qa\E.*",
    ],
)
def test_patterns_are_read_as_clients_send_them(pattern: str) -> None:
    """With or without the domain, and with Java's quotes."""
    compiled = compile_pattern(pattern)
    assert compiled.fullmatch("public/default/abc")
    assert not compiled.fullmatch("public/default/b")
