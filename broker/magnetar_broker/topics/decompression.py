"""Reading compressed payloads, for compaction: what the standard library can, and LZ4. Pure."""

import zlib

NONE, LZ4, ZLIB, ZSTD, SNAPPY = range(5)


def decompress(payload: bytes, codec: int, size: int) -> bytes | None:
    """Return a payload of `size` bytes as it was before it was compressed, None when the codec is not known here."""
    if codec == NONE:
        return payload
    if codec == ZLIB:
        try:
            return zlib.decompress(payload)
        except zlib.error:
            return None
    if codec == LZ4:
        return _lz4(payload, size)
    return None


def _lz4(data: bytes, size: int) -> bytes | None:
    """Decode an LZ4 block: literals, and copies of what came before."""
    out = bytearray()
    at = 0
    try:
        while at < len(data):
            token = data[at]
            length, at = _length(data, at + 1, token >> 4)
            out += data[at : at + length]
            at += length
            if at >= len(data):
                break
            offset = int.from_bytes(data[at : at + 2], "little")
            length, at = _length(data, at + 2, token & 15)
            _copy(out, offset, length + 4, size)
    except (IndexError, ValueError):
        return None
    return bytes(out) if len(out) == size else None


def _length(data: bytes, at: int, length: int) -> tuple[int, int]:
    if length == 15:
        while True:
            more = data[at]
            at += 1
            length += more
            if more != 255:
                break
    return length, at


def _copy(out: bytearray, offset: int, length: int, limit: int) -> None:
    start = len(out) - offset
    if not offset or start < 0 or len(out) + length > limit:
        raise ValueError(offset)
    while length > 0:
        part = out[start : start + length]
        out += part
        start += len(part)
        length -= len(part)
