from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from magnetar_broker.store.journal import Journal
from magnetar_broker.store.records import place
from magnetar_broker.topics.entries import Cache, Entries


def fresh() -> tuple[Entries, Journal]:
    journal = Journal(Path("unused"), lambda: iter(()), lambda: None)
    return Entries(1, journal, Cache()), journal


@pytest.fixture
def journal_and_entries() -> tuple[Entries, Journal]:
    return fresh()


def fill(entries: Entries, numbers: range, *, size: int = 10, count: int = 2, segment: int = 1) -> None:
    for number in numbers:
        entries.replay(number, place(segment, number + 1), size, count)


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "drop", "forget", "gap", "cut"]), st.integers(0, 30), st.integers(0, 30))
    )
)
def test_entries_are_what_a_dictionary_would_hold(operations: list[tuple[str, int, int]]) -> None:
    """Whatever comes and goes, what is there, how many messages and how many wanted bytes agree with a plain model."""
    entries, journal = fresh()
    model: dict[int, int] = {}
    first = end = 0
    for operation, a, b in operations:
        if operation == "add":
            entries.replay(end, place(1 + end % 3, end + 1), 10 + a, 1 + b)
            model[end] = 10 + a
            end += 1
        elif operation == "gap":
            entries.replay(end + a, place(1, end + a + 1), 5, 1)
            model[end + a] = 5
            end += a + 1
        elif operation == "drop":
            entries.drop_before(min(first + a, end))
            first = min(first + a, end)
        elif operation == "forget":
            entries.forget(first + a, first + a + b)
            model = {number: size for number, size in model.items() if not first + a <= number < first + a + b}
        else:
            end = max(end - a, first)
            entries.cut(end)
        model = {number: size for number, size in model.items() if first <= number < end}
        assert (entries.first, entries.end) == (first, end)
        assert [number for number in range(first, end) if not entries.gone(number)] == sorted(model)
        assert entries.size == sum(model.values()) == sum(journal.live.values())
        there, found = entries.next_there(first), []
        while there < end:
            found.append(there)
            there = entries.next_there(there + 1)
        assert found == sorted(model)


def test_messages_are_counted_over_any_range(journal_and_entries: tuple[Entries, Journal]) -> None:
    """Counts hold across blocks and after what came before was dropped."""
    entries, _ = journal_and_entries
    fill(entries, range(10_000), count=3)
    assert entries.messages(0, 10_000) == 30_000
    assert entries.messages(4000, 4200) == 600
    entries.drop_before(5000)
    assert entries.messages(0, 10_000) == 15_000
    assert entries.count(9999) == 3


def test_a_block_without_entries_costs_next_to_nothing(journal_and_entries: tuple[Entries, Journal]) -> None:
    """Behind one entry that nobody acknowledges, a hundred thousand that are gone leave small change."""
    entries, _ = journal_and_entries
    for start in range(0, 102_400, 4096):
        fill(entries, range(start, start + 4096))
        entries.forget(max(start, 1), start + 4096)
    assert entries.next_there(1) == entries.end
    assert not entries.gone(0)
    assert sum(isinstance(block, int) for block in entries._blocks.values()) == 24
    assert entries.messages(0, entries.end) == 2 * 102_400


def test_an_entry_that_was_moved_is_found_again_whatever_the_order(
    journal_and_entries: tuple[Entries, Journal],
) -> None:
    """Replaying later segments first leaves gaps, which moved entries fill, with their counts."""
    entries, journal = journal_and_entries
    fill(entries, range(9000, 9010), segment=3)
    entries.replay(12, place(4, 1), 10, 7)
    entries.replay(3, place(4, 50), 10, 5)
    entries.replay(14, place(4, 90), 10, 1)
    assert [number for number in range(20) if not entries.gone(number)] == [3, 12, 14]
    assert (entries.count(3), entries.count(12), entries.count(14)) == (5, 7, 1)
    assert entries.messages(0, entries.end) == 20 + 13
    assert list(entries.within(4)) == [3, 12, 14]
    assert journal.live == {3: 100, 4: 30}


def test_the_leading_entries_of_older_segments_are_known(journal_and_entries: tuple[Entries, Journal]) -> None:
    """They are the ones that may be dropped while a newer segment is written."""
    entries, _ = journal_and_entries
    fill(entries, range(5000), segment=1)
    fill(entries, range(5000, 6000), segment=2)
    assert entries.sealed_before(1) == 0
    assert entries.sealed_before(2) == 5000
    assert entries.sealed_before(3) == 6000


def test_the_cache_keeps_within_its_bound() -> None:
    """Small entries cost more than their bytes, and the oldest go first."""
    cache = Cache(bound=100_000)
    for number in range(1000):
        cache.put(1, number, [b"x" * 100])
    kept = [number for number in range(1000) if cache.get(1, number) is not None]
    assert kept == list(range(1000 - len(kept), 1000))
    assert 100 < len(kept) < 300
