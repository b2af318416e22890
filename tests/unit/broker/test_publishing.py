"""Messages that come together are taken, receipted and delivered together, in the order in which they came."""

from collections.abc import Sequence
from pathlib import Path

from broker_wire import Wire, connected, flow, opened, produce, send, settle, subscribe
from magnetar_broker.broker import Broker
from magnetar_broker.connection.service import PulsarService
from magnetar_broker.wire.frames import command_frame
from magnetar_broker.wire.proto.pulsar_api import BaseCommand, MessageMetadata

SHARED = 1
FAR_AWAY = 4_000_000_000_000


def receipts(commands: Sequence[BaseCommand]) -> list[tuple[int, int, int]]:
    """Return the producer, sequence id and entry of each receipt."""
    found = [each.send_receipt for each in commands if each.type == BaseCommand.SEND_RECEIPT]
    return [(each.producer_id, each.sequence_id, each.message_id.entryId) for each in found]


def delivered(commands: Sequence[BaseCommand]) -> list[int]:
    return [each.message.message_id.entryId for each in commands if each.type == BaseCommand.MESSAGE]


async def test_producers_of_one_connection_are_receipted_in_their_order(tmp_path: Path) -> None:
    """By turns on two topics: each gets its receipts, and its entries are numbered as they came."""
    async with opened(tmp_path) as broker:
        peer, wire = connected(PulsarService(broker))
        peer.data_received(produce("a", 0) + produce("b", 1))
        wire.commands()
        peer.data_received(b"".join(send(number, producer=number // 3 % 2) for number in range(12)))
        await settle(broker)
        found = receipts(wire.commands())
        assert [each[1:] for each in found if each[0] == 0] == [(0, 0), (1, 1), (2, 2), (6, 3), (7, 4), (8, 5)]
        assert [each[1:] for each in found if each[0] == 1] == [(3, 0), (4, 1), (5, 2), (9, 3), (10, 4), (11, 5)]
        wire.close()


async def test_what_came_before_a_closed_producer_is_published(tmp_path: Path) -> None:
    """A message right in front of CLOSE_PRODUCER counts, one right behind it does not."""
    async with opened(tmp_path) as broker:
        peer, wire = connected(PulsarService(broker))
        close = BaseCommand(type=BaseCommand.CLOSE_PRODUCER)
        close.close_producer.producer_id, close.close_producer.request_id = 0, 7
        peer.data_received(produce() + send(0) + send(1) + command_frame(close) + send(2))
        await settle(broker)
        assert receipts(wire.commands()) == [(0, 0, 0), (0, 1, 1)]
        assert broker.get("t").visible == 2
        wire.close()


async def test_what_came_before_garbage_is_published(tmp_path: Path) -> None:
    """The connection ends, and what was whole before is kept."""
    async with opened(tmp_path) as broker:
        peer, wire = connected(PulsarService(broker))
        peer.data_received(produce() + send(0) + send(1) + b"\xff" * 8)
        assert wire.closed
        await settle(broker)
        assert broker.get("t").visible == 2


async def test_repeated_messages_are_receipted_in_their_turn(tmp_path: Path) -> None:
    """With de-duplication a message that came before gets a receipt without an entry, between its neighbours'."""
    async with opened(tmp_path) as broker:
        broker.tenancy.change_policies("public/default", deduplicationEnabled=True)
        peer, wire = connected(PulsarService(broker))
        peer.data_received(produce() + b"".join(send(number) for number in (0, 1, 1, 2, 0, 3)))
        await settle(broker)
        found = receipts(wire.commands())
        assert [sequence for _, sequence, _ in found] == [0, 1, 1, 2, 0, 3]
        none = (1 << 64) - 1
        assert [entry for *_, entry in found] == [0, 1, none, 2, none, 3]
        wire.close()


async def shared(broker: Broker, permits: int) -> Wire:
    """Publish ten messages, of which the fifth is for later, and let one Shared consumer have some."""
    peer, wire = connected(PulsarService(broker))
    peer.data_received(produce())
    later = MessageMetadata(producer_name="p", sequence_id=4, publish_time=1, deliver_at_time=FAR_AWAY)
    frames = [send(number) for number in range(10)]
    frames[4] = send(4, metadata=later.SerializeToString())
    peer.data_received(b"".join(frames))
    await settle(broker)
    wire.commands()
    peer.data_received(subscribe(kind=SHARED) + flow(permits))
    await settle(broker)
    return wire


async def test_a_delayed_message_among_others_waits_alone(tmp_path: Path) -> None:
    """Those before and behind it go out in order."""
    async with opened(tmp_path) as broker:
        wire = await shared(broker, 100)
        assert delivered(wire.commands()) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
        consumer = broker.get("t").subscription("s").consumers[0]
        assert (consumer.unacknowledged, consumer.permits) == (9, 91)
        wire.close()


async def test_a_consumer_gets_no_more_than_it_has_permits_for(tmp_path: Path) -> None:
    """However many are there."""
    async with opened(tmp_path) as broker:
        wire = await shared(broker, 3)
        assert delivered(wire.commands()) == [0, 1, 2]
        wire.close()


async def test_an_entry_acknowledged_in_part_comes_with_what_is_left(tmp_path: Path) -> None:
    """Among entries that go out together a batch keeps its set of acknowledged messages."""
    async with opened(tmp_path) as broker:
        peer, wire = connected(PulsarService(broker))
        peer.data_received(produce() + subscribe() + b"".join(send(number, count=2) for number in range(5)))
        await settle(broker)
        subscription = broker.get("t").subscription("s")
        subscription.acknowledge(1)
        subscription.acknowledge(3, [0b10])
        wire.commands()
        peer.data_received(flow(100))
        messages = [each.message for each in await answers(broker, wire) if each.type == BaseCommand.MESSAGE]
        assert [(each.message_id.entryId, list(each.ack_set)) for each in messages] == [
            (0, []),
            (2, []),
            (3, [2]),
            (4, []),
        ]
        wire.close()


async def answers(broker: Broker, wire: Wire) -> list[BaseCommand]:
    await settle(broker)
    return wire.commands()
