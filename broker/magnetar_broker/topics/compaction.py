"""Which entries of a topic compaction keeps: those with the last value of some key. Pure."""

import struct
from collections.abc import Callable, Iterable, Iterator

from magnetar_broker.wire.frames import metadata_of, payload_of
from magnetar_broker.wire.proto.pulsar_api import SingleMessageMetadata

_SIZE = struct.Struct(">I")


def keep(numbers: Iterable[int], read: Callable[[int], bytes]) -> list[int]:
    """Return the numbers of the entries that stay, in order; an entry with several keys stays while one of them is in it.

    Messages without a key are dropped, as Pulsar does; an empty value deletes its key.
    """
    last: dict[str, int] = {}
    for number in numbers:
        for key, empty in keys_of(read(number)):
            last.pop(key, None)
            if not empty:
                last[key] = number
    return sorted(set(last.values()))


def keys_of(entry: bytes) -> Iterator[tuple[str, bool]]:
    """Yield the key of each message of an entry, and whether its value is empty.

    A compressed batch can't be read here without the codec: it counts by the key of the entry as a whole.
    """
    metadata = metadata_of(entry)
    payload = payload_of(entry)
    if metadata.num_messages_in_batch > 1 and metadata.compression == 0:
        yield from _batch_keys(payload, metadata.num_messages_in_batch)
    elif metadata.HasField("partition_key"):
        empty = metadata.null_value or not payload or (metadata.compression != 0 and metadata.uncompressed_size == 0)
        yield metadata.partition_key, empty
    elif metadata.HasField("num_messages_in_batch") and metadata.compression == 0:
        yield from _batch_keys(payload, metadata.num_messages_in_batch)


def _batch_keys(payload: bytes, count: int) -> Iterator[tuple[str, bool]]:
    at = 0
    for _ in range(count):
        (size,) = _SIZE.unpack_from(payload, at)
        single = SingleMessageMetadata.FromString(payload[at + 4 : at + 4 + size])
        at += 4 + size + single.payload_size
        if single.HasField("partition_key"):
            yield single.partition_key, single.null_value or single.payload_size == 0
