"""Which messages of a topic compaction keeps: the last of each key. Pure."""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence

from magnetar_broker.topics.decompression import decompress
from magnetar_broker.wire.frames import metadata_of, payload_of
from magnetar_broker.wire.proto.pulsar_api import MessageMetadata, SingleMessageMetadata

_SIZE = struct.Struct(">I")
_WORD = 64


def keep(entries: Iterable[tuple[int, Sequence[int]]], read: Callable[[int], bytes | None]) -> dict[int, Sequence[int]]:
    """Return the numbers of the entries that stay, in order, each with the words of its live messages.

    An entry comes as its number and the words of what is live in it, none when all is. Messages without a key are
    dropped, as Pulsar does; an empty value deletes its key. What can't be read (an unknown codec, an encrypted batch) and
    chunks stay as they are: nothing is lost.
    """
    last: dict[str, tuple[int, int]] = {}
    sizes: dict[int, int] = {}
    unread: set[int] = set()
    for number, words in entries:
        data = read(number)
        if data is None:
            continue
        sizes[number], keys = keys_of(data)
        if keys is None:
            unread.add(number)
            continue
        for index, key, empty in keys:
            if words and not live(words, index):
                continue
            last.pop(key, None)
            if not empty:
                last[key] = number, index
    return _kept(last, sizes, unread)


def _kept(last: dict[str, tuple[int, int]], sizes: dict[int, int], unread: set[int]) -> dict[int, Sequence[int]]:
    indexes: dict[int, list[int]] = {}
    for number, index in last.values():
        indexes.setdefault(number, []).append(index)
    kept: dict[int, Sequence[int]] = dict.fromkeys(unread, ())
    for number, some in indexes.items():
        kept[number] = () if len(some) == sizes[number] else words_of(some)
    return dict(sorted(kept.items()))


def live(words: Sequence[int], index: int) -> bool:
    """Whether a message's bit is set: a set bit is not acknowledged."""
    return index // _WORD < len(words) and bool(words[index // _WORD] >> (index % _WORD) & 1)


def last_live(words: Sequence[int]) -> int:
    """Return the index of the last message whose bit is set, -1 when none is."""
    for place in range(len(words) - 1, -1, -1):
        if words[place]:
            return place * _WORD + (words[place] & ((1 << _WORD) - 1)).bit_length() - 1
    return -1


def words_of(indexes: Iterable[int]) -> list[int]:
    """Return the words in which the bits of some messages are set, as signed numbers."""
    bits = sum(1 << index for index in set(indexes))
    words = []
    while bits:
        word = bits & ((1 << _WORD) - 1)
        words.append(word - (1 << _WORD) if word >> (_WORD - 1) else word)
        bits >>= _WORD
    return words


def keys_of(entry: bytes) -> tuple[int, list[tuple[int, str, bool]] | None]:
    """Return how many messages an entry holds, and of those with keys: index, key, and whether the value is empty.

    None in place of the list when the keys can't be known.
    """
    metadata = metadata_of(entry)
    payload = payload_of(entry)
    if not metadata.HasField("num_messages_in_batch"):
        if metadata.num_chunks_from_msg > 1:
            return 1, None
        keyed = (
            [(0, metadata.partition_key, _is_empty(metadata, payload))] if metadata.HasField("partition_key") else []
        )
        return 1, keyed
    count = metadata.num_messages_in_batch
    encrypted = len(metadata.encryption_keys) > 0
    plain = None if encrypted else decompress(payload, metadata.compression, metadata.uncompressed_size)
    return count, None if plain is None else list(_batch_keys(plain, count))


def _is_empty(metadata: MessageMetadata, payload: bytes) -> bool:
    return metadata.null_value or not payload or (metadata.compression != 0 and metadata.uncompressed_size == 0)


def _batch_keys(payload: bytes, count: int) -> Iterator[tuple[int, str, bool]]:
    at = 0
    for index in range(count):
        (size,) = _SIZE.unpack_from(payload, at)
        single = SingleMessageMetadata.FromString(payload[at + 4 : at + 4 + size])
        at += 4 + size + single.payload_size
        if single.HasField("partition_key") and not single.compacted_out:
            yield index, single.partition_key, single.null_value or single.payload_size == 0
