from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from magnetar_broker.store.columns import Columns, Run
from magnetar_broker.store.index import decode_index, encode_index, read_index, write_index
from magnetar_broker.store.records import ENTRY, HEAD_SIZE, SETTING, encode_head, encode_setting, place
from magnetar_broker.store.scan import Damage, scan

ENTRIES = st.tuples(
    st.just(ENTRY), st.integers(0, 3), st.integers(0, 2**60), st.integers(0, 2**31), st.binary(max_size=60)
)
SETTINGS = st.tuples(st.just(SETTING), st.just(0), st.just(0), st.just(0), st.just(encode_setting("a", [1])))
RECORDS = st.lists(st.one_of(ENTRIES, ENTRIES, SETTINGS), max_size=30)

Record = tuple[int, int, int, int, bytes]


class Kept:
    """Keeps the columns that a scan gives."""

    def __init__(self) -> None:
        self.columns = Columns()

    def entries(self, columns: Columns) -> None:
        self.columns.extend(columns)

    def setting(self, key: str, value: object) -> None: ...

    def damage(self, damage: Damage) -> None: ...


def rows(columns: Columns) -> list[tuple[int, ...]]:
    return list(zip(*columns.tables, strict=True))


@given(RECORDS, RECORDS)
def test_the_heads_of_records_tell_what_reading_them_tells(before: list[Record], after: list[Record]) -> None:
    """Columns that were read and go on with the heads of what was written are those of the whole segment."""
    parts = [[encode_head(*record) + record[4] for record in records] for records in (before, after)]
    whole, read = Kept(), Kept()
    scan(b"".join([*parts[0], *parts[1]]), whole)
    end = scan(b"".join(parts[0]), read)
    read.columns.add_heads(b"".join(record[:HEAD_SIZE] for record in parts[1]), end)
    assert rows(read.columns) == rows(whole.columns)


@given(RECORDS)
def test_every_topic_gets_its_entries_in_order(records: list[Record]) -> None:
    """However the entries of topics are mixed, each topic's come together, with their places."""
    kept = Kept()
    scan(b"".join(encode_head(*record) + record[4] for record in records), kept)
    runs: list[Run] = list(kept.columns.runs(place(5, 0)))
    assert len({run.topic_id for run in runs}) == len(runs)
    for run in runs:
        mine = [row for row in rows(kept.columns) if row[0] == run.topic_id]
        assert list(zip(run.numbers, run.counts, run.sizes, run.wheres, strict=True)) == [
            (number, count, size, place(5, position)) for _, number, count, size, position in mine
        ]
    assert sum(len(run.numbers) for run in runs) == len(kept.columns)


@given(RECORDS, st.integers(0), st.integers(0, 7))
def test_an_index_holds_what_it_was_made_of_or_is_not_used(records: list[Record], at: int, bit: int) -> None:
    """It comes back whole for the segment that it was written for; with one bit flipped it is none."""
    kept = Kept()
    scan(b"".join(encode_head(*record) + record[4] for record in records), kept)
    data = bytearray(encode_index(kept.columns, 1000))
    found = decode_index(bytes(data), 1000)
    assert found is not None
    assert rows(found) == rows(kept.columns)
    assert decode_index(bytes(data), 1001) is None
    data[at % len(data)] ^= 1 << bit
    assert decode_index(bytes(data), 1000) is None
    assert decode_index(bytes(data[: at % len(data)]), 1000) is None


def test_an_index_that_can_not_be_read_is_none(tmp_path: Path) -> None:
    """Missing, or a folder by its name: the segment itself is read then."""
    assert read_index(tmp_path / "none", 7) is None
    assert read_index(tmp_path, 7) is None
    write_index(tmp_path / "some.index", Columns(), 7)
    assert read_index(tmp_path / "some.index", 7) is not None
    assert [path.name for path in tmp_path.iterdir()] == ["some.index"]
