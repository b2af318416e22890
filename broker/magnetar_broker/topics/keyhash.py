"""The hash that Pulsar's clients and brokers agree on for keys: Murmur3, 32 bits."""

_C1, _C2, _MASK = 0xCC9E2D51, 0x1B873593, 0xFFFFFFFF
RANGE = 65536


def murmur3(data: bytes, seed: int = 0) -> int:
    """Return the 32-bit Murmur3 hash of some bytes."""
    h = seed
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        h ^= _scramble(int.from_bytes(data[at : at + 4], "little"))
        h = ((h << 13) | (h >> 19)) & _MASK
        h = (h * 5 + 0xE6546B64) & _MASK
    if len(data) > whole:
        h ^= _scramble(int.from_bytes(data[whole:], "little"))
    h ^= len(data)
    h ^= h >> 16
    h = (h * 0x85EBCA6B) & _MASK
    h ^= h >> 13
    h = (h * 0xC2B2AE35) & _MASK
    return h ^ (h >> 16)


def _scramble(k: int) -> int:
    k = (k * _C1) & _MASK
    k = ((k << 15) | (k >> 17)) & _MASK
    return (k * _C2) & _MASK


def slot_of(key: bytes) -> int:
    """Return the place of a key in the range of 65536 that Key_Shared consumers divide among themselves."""
    return (murmur3(key) & 0x7FFFFFFF) % RANGE
