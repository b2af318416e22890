from typing import Any

import _pulsar
import pytest
from magnetar_instance.entries import DoneParts, Entry, Position, position_of


class Sent:
    """A message as far as entries look at one."""

    def __init__(self, ledger: int, entry: int, index: int, size: int, partition: int = -1) -> None:
        self.bytes = serialized(ledger, entry, index, size, partition)

    def message_id(self) -> "Sent":
        return self

    def serialize(self) -> bytes:
        return self.bytes


def serialized(ledger: int, entry: int, index: int = -1, size: int = 0, partition: int = -1) -> bytes:
    """What the client gives for a message of a batch: its id, and the batch's size, which no constructor takes."""
    tail = b"" if index < 0 else b"\x30" + bytes([size & 0x7F | 0x80, size >> 7] if size > 127 else [size])
    return bytes(_pulsar.MessageId(partition, ledger, entry, index).serialize()) + tail


@pytest.mark.parametrize("ledger", [0, 1, 127, 128, 1 << 40])
@pytest.mark.parametrize("partition", [-1, 0, 3])
@pytest.mark.parametrize(("index", "size"), [(-1, 0), (0, 1), (5, 1000)])
def test_positions_are_read_from_the_clients_own_ids(ledger: int, partition: int, index: int, size: int) -> None:
    """Whatever the client serializes is read back; a message sent alone has no size."""
    read = position_of(serialized(ledger, 7, index, size, partition))
    assert read == Position(ledger, 7, partition, index, size)


def run(*indexes: int, size: int = 3) -> tuple[Entry, list[Any]]:
    messages = [Sent(4, 200, index, size) for index in indexes]
    entry = Entry(messages[0].bytes, "topic")
    for message in messages:
        assert message.bytes.startswith(entry.prefix)
        entry.messages.append(message)
        entry.last = message.bytes
    return entry, messages


def test_a_whole_entry_is_acknowledged_at_once() -> None:
    """One id without an index stands for all of its messages."""
    entry, _ = run(0, 1, 2)
    (identity,) = entry.identities()
    assert (identity.ledger_id(), identity.entry_id(), identity.batch_index()) == (4, 200, -1)


@pytest.mark.parametrize("indexes", [(0, 1), (1, 2), (0, 1, 0), (0, 1, 0, 1, 2), (2,)])
def test_anything_less_is_acknowledged_message_by_message(indexes: tuple[int, ...]) -> None:
    """A redelivery in between must never make an entry look whole."""
    entry, messages = run(*indexes)
    assert list(entry.identities()) == messages


def test_a_broken_entry_is_acknowledged_message_by_message() -> None:
    """One of its messages is settled elsewhere."""
    entry, messages = run(0, 1, 2)
    entry.broken = True
    assert list(entry.identities()) == messages


def test_other_entries_have_other_prefixes() -> None:
    """Neither the next entry, nor another ledger or partition begins alike."""
    entry, _ = run(0)
    for other in (Sent(4, 201, 0, 3), Sent(5, 200, 0, 3), Sent(4, 200, 0, 3, partition=1), Sent(4, 2, 0, 3)):
        assert not other.bytes.startswith(entry.prefix)


def test_the_rest_of_an_entry_is_known() -> None:
    """How many messages are still to come."""
    assert [run(0)[0].rest, run(0, 1)[0].rest, run(0, 1, 2)[0].rest] == [2, 1, 0]
    assert Entry(serialized(1, 1), "topic").rest == 0


def test_done_messages_of_an_entry_are_remembered_once() -> None:
    """They are told at the next delivery, and the oldest entries are forgotten."""
    done = DoneParts(most=1)
    first, messages = run(0, 2)
    done.note(first)
    again, _ = run(0)
    assert done.of(again) == {message.bytes for message in messages}
    assert done.of(again) == set()
    done.note(first)
    other = Entry(serialized(9, 9, 0, 2), "topic")
    other.messages.append(Sent(9, 9, 0, 2))
    done.note(other)
    assert done.of(again) == set()
