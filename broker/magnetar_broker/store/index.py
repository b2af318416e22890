"""A segment's index: a file beside it with what it holds, so that a broker that opens need not read the segment itself.

It is written when the segment gets nothing any more, without a sync: it only saves time. One that is torn, damaged or of
a segment of another size is not used, and the segment is read as if there were none.
"""

import struct
import zlib
from pathlib import Path

import crc32c

from magnetar_broker.store.columns import Columns

_MAGIC = b"magnetar index 1\n"
_HEAD = struct.Struct(f">{len(_MAGIC)}sQQI")
_FASTEST = 1


def index_path(segment: Path) -> Path:
    """Return where the index of a segment is."""
    return segment.with_suffix(".index")


def encode_index(columns: Columns, segment_size: int) -> bytes:
    """Return the index of a segment of some size in bytes."""
    packed = zlib.compress(columns.to_bytes(), _FASTEST)
    checksum = crc32c.crc32c(packed, crc32c.crc32c(segment_size.to_bytes(8)))
    return _HEAD.pack(_MAGIC, segment_size, len(columns), checksum) + packed


def decode_index(data: bytes, segment_size: int) -> Columns | None:
    """Return what an index holds; None when it is damaged or of a segment of another size."""
    if len(data) < _HEAD.size:
        return None
    magic, size, length, checksum = _HEAD.unpack_from(data)
    packed = data[_HEAD.size :]
    sound = magic == _MAGIC and size == segment_size
    if not sound or crc32c.crc32c(packed, crc32c.crc32c(size.to_bytes(8))) != checksum:
        return None
    try:
        return Columns.from_bytes(zlib.decompress(packed), length)
    except zlib.error:
        return None


def write_index(path: Path, columns: Columns, segment_size: int) -> None:
    """Write an index: whole, or not at all. Raises OSError."""
    fresh = path.with_suffix(".new")
    try:
        fresh.write_bytes(encode_index(columns, segment_size))
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def read_index(path: Path, segment_size: int) -> Columns | None:
    """Return what an index holds; None when there is none that can be used."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return decode_index(data, segment_size)
