import random

from hypothesis import given
from hypothesis import strategies as st
from magnetar_broker.store.columns import Columns
from magnetar_broker.store.records import ENTRY, HEAD_SIZE, SETTING, body_of, encode_head, encode_setting
from magnetar_broker.store.scan import Damage, scan

BODIES = st.lists(st.binary(max_size=300), min_size=1, max_size=12)


class Kept:
    """Keeps what a scan gives."""

    def __init__(self) -> None:
        self.found: list[tuple[int, int, int, int, int]] = []
        self.settings: list[tuple[str, object]] = []
        self.damages: list[Damage] = []

    def entries(self, columns: Columns) -> None:
        self.found.extend(
            zip(columns.topics, columns.numbers, columns.counts, columns.positions, columns.sizes, strict=True)
        )

    def setting(self, key: str, value: object) -> None:
        self.settings.append((key, value))

    def damage(self, damage: Damage) -> None:
        self.damages.append(damage)


def segment(bodies: list[bytes]) -> bytes:
    return b"".join(encode_head(ENTRY, 7, number, 1, body) + body for number, body in enumerate(bodies))


def numbers(kept: Kept) -> list[int]:
    return [entry[1] for entry in kept.found]


@given(BODIES)
def test_what_was_written_is_read(bodies: list[bytes]) -> None:
    """Every record comes back with its place, and the whole segment is sound."""
    data, kept = segment(bodies), Kept()
    assert scan(data, kept) == len(data)
    assert [data[position : position + size] for *_, position, size in kept.found] == bodies
    assert kept.damages == []


@given(BODIES, st.integers(0, 4000))
def test_a_torn_tail_is_cut_after_the_last_whole_record(bodies: list[bytes], cut: int) -> None:
    """However a segment ends too early, what was whole is read and the rest is no damage."""
    data = segment(bodies)
    cut = min(cut, len(data))
    kept = Kept()
    end = scan(data[:cut], kept)
    ends = [position + size for *_, position, size in kept.found]
    assert end == (ends[-1] if ends else 0)
    assert numbers(kept) == list(range(len(ends)))
    assert kept.damages == []


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=3, max_size=12), st.randoms(use_true_random=False))
def test_a_flipped_bit_loses_one_record_and_is_told(bodies: list[bytes], chance: random.Random) -> None:
    """A bit that flips in any record but the last leaves all others readable."""
    data = bytearray(segment(bodies))
    last = len(data) - len(bodies[-1]) - HEAD_SIZE
    at = chance.randrange(last)
    data[at] ^= 1 << chance.randrange(8)
    kept = Kept()
    assert scan(bytes(data), kept) == len(data)
    assert len(kept.found) == len(bodies) - 1
    assert len(kept.damages) == 1
    assert kept.damages[0].start <= at + HEAD_SIZE
    assert at < kept.damages[0].end


def test_damage_in_a_body_names_its_entry() -> None:
    """The head of a damaged record still says whose it was."""
    data = bytearray(segment([b"one", b"two", b"three"]))
    data[HEAD_SIZE + 3 + HEAD_SIZE] ^= 1
    kept = Kept()
    scan(bytes(data), kept)
    assert kept.damages[0].entry == (7, 1)


def test_settings_are_read_as_json() -> None:
    """A setting's key and value come back."""
    body = encode_setting("topic/x", {"a": [1, None]})
    kept = Kept()
    scan(encode_head(SETTING, 0, 0, 0, body) + body, kept)
    assert kept.settings == [("topic/x", {"a": [1, None]})]


@given(st.binary(max_size=500))
def test_garbage_gives_nothing_and_raises_nothing(data: bytes) -> None:
    """What was never a journal is all torn tail."""
    kept = Kept()
    assert scan(data, kept) == 0
    assert kept.found == []


def test_a_body_is_checked_when_it_is_read() -> None:
    """A record that the disk changed gives no body."""
    record = encode_head(ENTRY, 1, 2, 3, b"body") + b"body"
    assert body_of(record) == b"body"
    assert body_of(record[:-1] + b"!") is None
    assert body_of(record[:10]) is None
