"""Sequence ids of results, by which a broker knows again what it was sent before an instance died. Pure.

Pulsar's own ids leave out the place in a batch, so that all but the first result of a batch count as sent before. Here
the producer is named for the input's ledger, and the id tells the entry and the place in it: numbers of ledgers may have
any size, and a topic that was made anew begins anew.
"""

from magnetar_instance.entries import Position

_INDEX_BITS, _RESULT_BITS = 18, 10
"""262144 messages in one of the broker's entries, 1024 results of one message; 2 ^ 35 entries in a ledger are left."""


def sequence_of(position: Position, result: int = 0) -> int:
    """Return the id of a result of an input message, counted from 0. Raises OverflowError for what has no id."""
    index = max(position.index, 0)
    if index >> _INDEX_BITS or result >> _RESULT_BITS:
        raise OverflowError(
            f"message {index} of a batch, result {result}: EFFECTIVELY_ONCE takes batches of up to {1 << _INDEX_BITS} "
            f"messages, each with up to {1 << _RESULT_BITS} results"
        )
    return (position.entry << _INDEX_BITS | index) << _RESULT_BITS | result


def place_of(sequence: int) -> tuple[int, int]:
    """Return the entry, and the place in it, of the message that a sequence id stands for."""
    place = sequence >> _RESULT_BITS
    return place >> _INDEX_BITS, place & (1 << _INDEX_BITS) - 1


def producer_name(fqfn: str, topic: str, ledger: int, attempt: int = 0) -> str:
    """Return the name of the producer for one ledger of an input topic; with an attempt, another one."""
    name = f"magnetar/{fqfn}/{topic}/{ledger}"
    return f"{name}/{attempt}" if attempt else name


def partition_of(key: str, sequence: int, partitions: int) -> int:
    """Return the output partition of a result: the same at every attempt, and the same for all messages of a key.

    As in Pulsar, a result without a key goes by its sequence id. Keys are hashed as Java's clients do by default.
    """
    if not key:
        return sum(place_of(sequence)) % partitions
    units = key.encode("utf-16-be")
    hashed = 0
    for high, low in zip(units[::2], units[1::2], strict=True):
        hashed = (hashed * 31 + (high << 8 | low)) & 0xFFFFFFFF
    return (hashed & 0x7FFFFFFF) % partitions
