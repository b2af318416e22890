"""What clients may send that no good client does: an error or a closed connection, and nobody else notices."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from broker_wire import Wire, connected, flow, hello, opened, ping, produce, send, settle, subscribe
from hypothesis import given, settings
from hypothesis import strategies as st
from magnetar_broker.connection.service import PulsarService
from magnetar_broker.wire.frames import command_frame
from magnetar_broker.wire.proto import pulsar_api
from magnetar_broker.wire.proto.pulsar_api import BaseCommand

_SCALARS = {
    1: st.floats(allow_nan=False),
    3: st.integers(-(2**63), 2**63 - 1),
    4: st.integers(0, 2**64 - 1),
    5: st.integers(-(2**31), 2**31 - 1),
    8: st.booleans(),
    9: st.sampled_from(["", "t", "s", "public/default", "persistent://public/default/t", "a/b/c/d", "(", "é\x00"]),
    12: st.binary(max_size=20),
    13: st.integers(0, 2**32 - 1),
}
_SMALL = {3: st.integers(-1, 3), 4: st.integers(0, 3), 5: st.integers(-1, 3), 13: st.integers(0, 3)}


@st.composite
def filled(draw: st.DrawFn, message: object) -> object:
    """Fill a message's fields: all that are required, and some of the others."""
    for field in message.DESCRIPTOR.fields:  # type: ignore[attr-defined]
        if field.is_repeated:
            if field.type != 11 and field.type in _SCALARS:
                getattr(message, field.name).extend(draw(st.lists(_value(field), max_size=3)))
        elif field.is_required or draw(st.booleans()):
            if field.type == 11:
                draw(filled(getattr(message, field.name)))
                getattr(message, field.name).SetInParent()
            elif field.type == 14:
                setattr(message, field.name, draw(st.sampled_from([each.number for each in field.enum_type.values])))
            elif field.type in _SCALARS:
                setattr(message, field.name, draw(_value(field)))
    return message


def _value(field: object) -> st.SearchStrategy[object]:
    kind = field.type  # type: ignore[attr-defined]
    return st.one_of(_SMALL[kind], _SCALARS[kind]) if kind in _SMALL else _SCALARS[kind]


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Return a well-formed frame of any command, with any content and perhaps something behind it."""
    fields = [field for field in BaseCommand.DESCRIPTOR.fields if field.name != "type"]
    field = draw(st.sampled_from(fields))
    command = BaseCommand(type=draw(st.one_of(st.just(field.number), st.sampled_from([f.number for f in fields]))))
    body = getattr(command, field.name)
    body.SetInParent()
    draw(filled(body))
    framed = bytearray(command_frame(command))
    rest = draw(st.one_of(st.just(b""), st.binary(max_size=40)))
    framed[:4] = (int.from_bytes(framed[:4], "big") + len(rest)).to_bytes(4, "big")
    return bytes(framed) + rest


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(frames(), frames(), st.just(send(1)), st.just(flow(5))), max_size=25))
def test_whatever_commands_come_others_are_served(stream: list[bytes]) -> None:
    """Any well-formed commands in any order: the connection answers or closes, and a good client gets its message."""

    async def run() -> None:
        with TemporaryDirectory() as folder:
            async with opened(Path(folder)) as broker:
                service = PulsarService(broker)
                bad, wire = connected(service)
                bad.data_received(produce("bad", 0) + subscribe("bad", "s"))
                good, other = connected(service)
                good.data_received(produce("good") + subscribe("good", "s") + flow(10))
                for each in stream:
                    if not wire.closed:
                        bad.data_received(each)
                await settle(broker)
                good.data_received(send(1, b"hello"))
                await settle(broker)
                kinds = [command.type for command in other.commands()]
                assert BaseCommand.SEND_RECEIPT in kinds
                assert BaseCommand.MESSAGE in kinds
                wire.close()
                other.close()

    asyncio.run(run())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=200), max_size=6))
def test_garbage_ends_its_connection_alone(stream: list[bytes]) -> None:
    """Bytes that are no protocol raise nothing; what was written until then stays well-formed."""

    async def run() -> None:
        with TemporaryDirectory() as folder:
            async with opened(Path(folder)) as broker:
                peer, wire = connected(PulsarService(broker))
                for each in stream:
                    if not wire.closed:
                        peer.data_received(each)
                await settle(broker)
                assert wire.commands()[0].type == BaseCommand.CONNECTED
                wire.close()

    asyncio.run(run())


async def test_the_greeting_comes_first(tmp_path: Path) -> None:
    """A command before CONNECT ends the connection, and so does a second CONNECT."""
    async with opened(tmp_path) as broker:
        service = PulsarService(broker)
        peer, wire = connected(service)
        peer.data_received(hello())
        assert wire.closed
        early, late = service._peer(), Wire()
        late.attach(early)
        early.data_received(subscribe())
        assert late.closed
        assert "persistent://public/default/t" not in broker.topics


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (send(1, checksum=1), pulsar_api.ChecksumError),
        (send(1, metadata=b"\xff\xff\xff"), pulsar_api.MetadataError),
        (send(1, count=0), pulsar_api.MetadataError),
        (send(1, count=2_000_000_000), pulsar_api.MetadataError),
        (send(1, payload=b"x" * (5 * 1024 * 1024 + 11 * 1024)), pulsar_api.NotAllowedError),
    ],
    ids=["wrong checksum", "no metadata", "no messages", "too many messages", "too large"],
)
async def test_a_message_that_nobody_could_read_is_refused(tmp_path: Path, frame: bytes, error: int) -> None:
    """It is answered with an error of Pulsar's, and never stored: it would come back to every consumer for ever."""
    async with opened(tmp_path) as broker:
        peer, wire = connected(PulsarService(broker))
        peer.data_received(produce())
        wire.commands()
        peer.data_received(frame)
        await settle(broker)
        answers = wire.commands()
        assert [each.send_error.error for each in answers if each.type == BaseCommand.SEND_ERROR] == [error]
        assert broker.get("t").entries.end == 0
        wire.close()


async def test_a_request_that_is_not_answered_here_gets_an_error(tmp_path: Path) -> None:
    """Otherwise its client would wait until its time is up."""
    async with opened(tmp_path) as broker:
        peer, wire = connected(PulsarService(broker))
        command = BaseCommand(type=BaseCommand.SUCCESS)
        command.success.request_id = 9
        peer.data_received(command_frame(command))
        await settle(broker)
        assert [each.error.request_id for each in wire.commands() if each.type == BaseCommand.ERROR] == [9]
        wire.close()


async def test_a_client_that_stops_reading_costs_a_bounded_buffer(tmp_path: Path) -> None:
    """Dispatching to it pauses; another consumer of the same topic gets everything."""
    async with opened(tmp_path) as broker:
        service = PulsarService(broker)
        slow, stuck = connected(service, read=False)
        fast, wire = connected(service)
        slow.data_received(subscribe("t", "slow") + flow(100_000))
        fast.data_received(produce("t") + subscribe("t", "fast") + flow(100_000))
        for number in range(200):
            fast.data_received(send(number, b"." * 50_000))
        await settle(broker)
        assert len(stuck.written) < 2 * 1024 * 1024
        assert sum(each.type == BaseCommand.MESSAGE for each in wire.commands()) == 200
        stuck.close()
        wire.close()


async def test_a_client_that_asks_and_does_not_read_is_not_read_either(tmp_path: Path) -> None:
    """Answers gather up to a bound; then its requests wait in its own socket."""
    async with opened(tmp_path) as broker:
        peer, wire = connected(PulsarService(broker), read=False)
        asked = 0
        while wire.reading and asked < 10_000_000:
            peer.data_received(ping() * 10_000)
            asked += 10_000
            await asyncio.sleep(0)
        assert not wire.reading
        assert len(wire.written) < 10 * 1024 * 1024
        wire.close()


async def test_a_silent_client_is_asked_and_then_let_go(tmp_path: Path) -> None:
    """A half-open socket never answers; its consumer's place becomes free. One that answers stays."""
    async with opened(tmp_path) as broker:
        service = PulsarService(broker)
        dead, gone = connected(service)
        alive, wire = connected(service)
        dead.data_received(subscribe("t", "s"))
        for _ in range(4):
            dead.check_alive()
            alive.check_alive()
            await settle(broker)
            if any(each.type == BaseCommand.PING for each in wire.commands()):
                pong = BaseCommand(type=BaseCommand.PONG)
                pong.pong.SetInParent()
                alive.data_received(command_frame(pong))
        assert gone.closed
        assert not wire.closed
        assert broker.get("t").subscription("s").consumers == []
        wire.close()


async def test_who_has_just_connected_has_time_to_say_who_it_is(tmp_path: Path) -> None:
    """A check between a connection and its greeting, for which a busy JVM takes a second, does not end it; silence does."""
    async with opened(tmp_path) as broker:
        service = PulsarService(broker)
        (slow, wire), (silent, gone) = ((service._peer(), Wire()) for _ in range(2))
        wire.attach(slow)
        gone.attach(silent)
        slow.check_alive()
        slow.data_received(hello())
        slow.check_alive()
        for _ in range(3):
            silent.check_alive()
        assert not wire.closed
        assert gone.closed
        wire.close()


async def test_acknowledgements_of_what_never_was_cost_nothing(tmp_path: Path) -> None:
    """Ids beyond the end, of another topic, or with absurd sets of bits change no cursor."""
    async with opened(tmp_path) as broker:
        peer, wire = connected(PulsarService(broker))
        peer.data_received(produce() + subscribe(kind=1) + send(1))
        await settle(broker)
        topic = broker.get("t")
        for ledger, entry, words in ((topic.id, 10**15, 0), (topic.id + 1, 0, 0), (topic.id, 0, 20_000)):
            command = BaseCommand(type=BaseCommand.ACK)
            command.ack.consumer_id, command.ack.ack_type = 0, 0
            command.ack.message_id.add(ledgerId=ledger, entryId=entry, ack_set=[1] * words)
            peer.data_received(command_frame(command))
        cursor = topic.subscription("s").cursor
        assert (cursor.mark, list(cursor.beyond), cursor.partial) == (0, [], {})
        wire.close()
