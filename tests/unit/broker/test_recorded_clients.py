"""What Pulsar's clients sent to a broker once, byte for byte, is still understood."""

import gzip
from collections import Counter
from pathlib import Path

import pytest
from broker_wire import Wire, opened, settle
from magnetar_broker.connection.service import PulsarService
from magnetar_broker.wire.frames import FrameReader
from magnetar_broker.wire.proto.pulsar_api import BaseCommand

RECORDED = Path(__file__).parents[2] / "golden" / "broker"


def recorded(client: str) -> bytes:
    return gzip.decompress((RECORDED / f"{client}.frames.gz").read_bytes())


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize("client", ["python", "java", "go"])
async def test_recorded_sessions_are_served(tmp_path: Path, client: str, size: int) -> None:
    """However the stream is cut, each request is answered once, each message receipted, and nothing is refused."""
    stream = recorded(client)
    asked = Counter(BaseCommand.FromString(bytes(command)).type for command, _ in FrameReader().feed(stream))
    async with opened(tmp_path) as broker:
        service, wire = PulsarService(broker), Wire()
        peer = service._peer()
        wire.attach(peer)
        for at in range(0, len(stream), size):
            peer.data_received(stream[at : at + size])
            if at % 64 == 0:
                await settle(broker)
        await settle(broker)
        answered = Counter(command.type for command in wire.commands())
        assert not wire.closed
        assert answered[BaseCommand.CONNECTED] == 1
        assert answered[BaseCommand.SEND_RECEIPT] == asked[BaseCommand.SEND] > 0
        assert answered[BaseCommand.LOOKUP_RESPONSE] == asked[BaseCommand.LOOKUP]
        assert answered[BaseCommand.GET_LAST_MESSAGE_ID_RESPONSE] == asked[BaseCommand.GET_LAST_MESSAGE_ID]
        # The sessions of Java and Go ask once for exclusive access that another producer has.
        refused = asked[BaseCommand.PRODUCER] - answered[BaseCommand.PRODUCER_SUCCESS]
        assert answered[BaseCommand.SEND_ERROR] == 0
        assert answered[BaseCommand.ERROR] == refused
        wire.close()
