"""Small rules of topics: de-duplication, compaction, policies, compression, the producers of a topic."""

import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from magnetar_broker.errors import InvalidError, ProducerBusyError, ProducerFencedError
from magnetar_broker.policies import BacklogQuota, topic_policies
from magnetar_broker.topics.compaction import keep, last_live, live, words_of
from magnetar_broker.topics.decompression import LZ4, ZLIB, ZSTD, decompress
from magnetar_broker.topics.deduplication import Deduplication, Sequence
from magnetar_broker.topics.producers import (
    EXCLUSIVE,
    EXCLUSIVE_WITH_FENCING,
    SHARED,
    WAIT_FOR_EXCLUSIVE,
    Producer,
    Producers,
)
from magnetar_broker.wire.proto.pulsar_api import MessageMetadata, SingleMessageMetadata


def test_a_sequence_id_counts_once() -> None:
    """What is not above the last id came before; after a failure what was not durable may come again."""
    known = Deduplication({"p": 3})
    assert not known.take(Sequence("p", 3, 3))
    assert known.take(Sequence("p", 4, 8))
    assert not known.take(Sequence("p", 6, 6))
    assert known.take(Sequence("other", 0, 0))
    known.roll_back()
    assert known.take(Sequence("p", 4, 8))
    known.durable(Sequence("p", 4, 8))
    assert known.last("p") == 8
    assert Deduplication(known.to_json()).last("p") == 8


def test_the_chunks_of_a_message_share_its_sequence_id() -> None:
    """Each comes once and in order; the id counts with the last of them."""
    known = Deduplication()
    chunks = [Sequence("p", 5, 5, number, 3) for number in range(3)]
    assert known.take(chunks[0])
    assert not known.take(chunks[0])
    assert not known.take(chunks[2])
    assert known.take(chunks[1])
    known.durable(chunks[1])
    assert known.last("p") == -1
    assert known.take(chunks[2])
    known.durable(chunks[2])
    assert known.last("p") == 5
    assert not known.take(chunks[1])


def test_producers_not_heard_of_for_long_are_forgotten() -> None:
    """The book has a bound."""
    known = Deduplication()
    for number in range(10_100):
        known.durable(Sequence(f"p{number}", 0, 0))
    assert known.last("p0") == -1
    assert known.last("p10099") == 0
    assert len(known.to_json()) == 10_000


def single(key: str | None, value: bytes) -> bytes:
    metadata = MessageMetadata(producer_name="p", sequence_id=0, publish_time=0)
    if key is not None:
        metadata.partition_key = key
    encoded = metadata.SerializeToString()
    return len(encoded).to_bytes(4, "big") + encoded + value


def batch(*pairs: tuple[str, bytes], compression: int = 0, compress: Callable[[bytes], bytes] = bytes) -> bytes:
    body = b""
    for key, value in pairs:
        one = SingleMessageMetadata(partition_key=key, payload_size=len(value)).SerializeToString()
        body += len(one).to_bytes(4, "big") + one + value
    metadata = MessageMetadata(producer_name="p", sequence_id=0, publish_time=0, num_messages_in_batch=len(pairs))
    metadata.compression, metadata.uncompressed_size = compression, len(body)
    encoded = metadata.SerializeToString()
    return len(encoded).to_bytes(4, "big") + encoded + compress(body)


def kept(*entries: bytes) -> dict[int, list[int]]:
    found = keep([(number, ()) for number in range(len(entries))], lambda number: entries[number])
    return {number: list(words) for number, words in found.items()}


def test_compaction_keeps_the_last_value_of_each_key() -> None:
    """Empty values delete, messages without a key go."""
    assert kept(single("a", b"1"), single("b", b"1"), single("a", b"2"), single(None, b"x")) == {1: [], 2: []}
    assert kept(single("a", b"1"), single("a", b"")) == {}


def test_of_a_batch_only_what_is_live_stays() -> None:
    """The bits say which, so that a deleted key does not come back with its neighbours."""
    assert kept(batch(("a", b"1"), ("b", b"1"), ("a", b"2")), single("b", b"")) == {0: [0b100]}
    assert kept(batch(("a", b"1"), ("b", b"1"))) == {0: []}
    zipped = batch(("a", b"1"), ("a", b"2"), compression=ZLIB, compress=zlib.compress)
    assert kept(zipped) == {0: [0b10]}


def test_what_can_not_be_read_stays_whole() -> None:
    """A codec that is not known here loses nothing."""
    assert kept(batch(("a", b"1"), compression=ZSTD), single("a", b"2")) == {0: [], 1: []}


@given(st.sets(st.integers(0, 300)))
def test_words_hold_bits(indexes: set[int]) -> None:
    """Signed 64-bit words, as the protocol has them."""
    words = words_of(indexes)
    assert {index for index in range(320) if live(words, index)} == indexes
    assert all(-(2**63) <= word < 2**63 for word in words)
    assert last_live(words) == max(indexes, default=-1)


def lz4_block(literal: bytes, copies: int) -> bytes:
    """Return a block: a literal of up to 14 bytes, a copy of it, and an empty end."""
    copy = copies - 4
    token = len(literal) << 4 | min(copy, 15)
    rest = b""
    if copy >= 15:
        rest = b"\xff" * ((copy - 15) // 255) + bytes([(copy - 15) % 255])
    return bytes([token]) + literal + len(literal).to_bytes(2, "little") + rest + b"\x10z"


@given(st.binary(min_size=1, max_size=14), st.integers(4, 2000))
def test_lz4_blocks_are_read(literal: bytes, copies: int) -> None:
    """Literals, and copies that overlap what they make."""
    expected = literal + (literal * copies)[:copies] + b"z"
    assert decompress(lz4_block(literal, copies), LZ4, len(expected)) == expected


@given(st.binary(max_size=100), st.integers(0, 500), st.sampled_from([LZ4, ZLIB, ZSTD, 77]))
def test_garbage_is_no_payload(data: bytes, size: int, codec: int) -> None:
    """It gives nothing, or bytes; never an error."""
    found = decompress(data, codec, size)
    assert found is None or isinstance(found, bytes)


@pytest.mark.parametrize(
    ("policies", "word"),
    [
        ({"message_ttl_in_seconds": "soon"}, "message_ttl_in_seconds"),
        ({"message_ttl_in_seconds": -1}, "message_ttl_in_seconds"),
        ({"schema_compatibility_strategy": "MAYBE"}, "MAYBE"),
        ({"retention_policies": {"retentionTimeInMinutes": 0, "retentionSizeInMB": 5}}, "retention"),
        ({"retention_policies": {"retentionTimeInMinutes": "x", "retentionSizeInMB": 5}}, "retentionTimeInMinutes"),
        ({"retention_policies": 5}, "retention_policies"),
        ({"backlog_quota_map": {"destination_storage": {"limitSize": 5, "policy": "pray"}}}, "pray"),
        ({"backlog_quota_map": {"destination_storage": {"limitSize": "5"}}}, "limitSize"),
    ],
)
def test_policies_that_make_no_sense_are_named(policies: dict[str, object], word: str) -> None:
    """The message has the policy's name or its value."""
    with pytest.raises(InvalidError, match=word):
        topic_policies(policies, BacklogQuota())


def test_policies_are_read_in_pulsars_form() -> None:
    """Sizes and times in their units; -1 is without a limit."""
    read = topic_policies(
        {
            "retention_policies": {"retentionTimeInMinutes": 2, "retentionSizeInMB": -1},
            "backlog_quota_map": {"destination_storage": {"limitSize": 9, "policy": "producer_exception"}},
            "deduplicationEnabled": True,
        },
        BacklogQuota(bytes=1),
    )
    assert (read.retention.seconds, read.retention.bytes) == (120.0, None)
    assert (read.quota.bytes, read.quota.policy) == (9, "producer_exception")
    assert read.deduplication
    assert topic_policies({}, BacklogQuota(bytes=1)).quota.bytes == 1


class Link:
    """A connection that keeps which producers were closed."""

    address = "here"

    def __init__(self) -> None:
        self.closed: list[int] = []

    def close_producer(self, producer_id: int) -> None:
        self.closed.append(producer_id)


def test_exclusive_producers_keep_others_out_and_wait_in_order() -> None:
    """One holds, the next waits and gets its turn; the epoch rises with each."""
    epochs: list[int] = []
    producers = Producers(None, epochs.append)
    link, ready = Link(), []
    first = Producer(1, "a", link, EXCLUSIVE)
    assert producers.add(first)
    with pytest.raises(ProducerFencedError):
        producers.add(Producer(2, "b", link, EXCLUSIVE))
    with pytest.raises(ProducerBusyError):
        producers.add(Producer(3, "c", link, SHARED))
    waiting = Producer(4, "d", link, WAIT_FOR_EXCLUSIVE, ready=ready.append)
    assert not producers.add(waiting)
    assert producers.waiting == 1
    producers.remove(first)
    assert ready == [waiting]
    assert producers.holds(waiting)
    assert epochs == [1, 2]


def test_fencing_takes_the_topic_and_old_epochs_are_refused() -> None:
    """Whoever held it is closed, and can't come back with the epoch that it had."""
    link = Link()
    producers = Producers(None, lambda _: None)
    first = Producer(1, "a", link, EXCLUSIVE)
    producers.add(first)
    assert producers.add(Producer(2, "b", link, EXCLUSIVE_WITH_FENCING))
    assert link.closed == [1]
    assert not producers.holds(first)
    with pytest.raises(ProducerFencedError, match="epoch"):
        producers.add(Producer(3, "a", link, EXCLUSIVE, topic_epoch=1))


def test_a_producer_that_reconnects_takes_its_own_name_over() -> None:
    """A higher epoch tells its new connection from a stranger with the same name."""
    producers, old = Producers(None, lambda _: None), Producer(1, "a", Link(), epoch=0)
    producers.add(old)
    with pytest.raises(ProducerBusyError):
        producers.add(Producer(1, "a", Link(), epoch=0))
    assert producers.add(Producer(1, "a", Link(), epoch=1))
    assert not producers.holds(old)


def test_a_name_that_users_chose_is_never_taken_over() -> None:
    """Two producers may have the same, of one client too: the epoch of one says nothing about the other; the first stays."""
    link = Link()
    producers, holder = Producers(None, lambda _: None), Producer(1, "a", link, epoch=0, chose_name=True)
    producers.add(holder)
    for other in (Producer(1, "a", Link(), epoch=5, chose_name=True), Producer(2, "a", link, epoch=5, chose_name=True)):
        with pytest.raises(ProducerBusyError):
            producers.add(other)
    assert producers.holds(holder)
